//! The memory of one frame: pages that come into being when they are first touched.

use alloc::{boxed::Box, vec::Vec};

use super::{PAGE_SIZE, PAGES};

/// The bytes of one page.
pub(super) type Page = [u8; PAGE_SIZE];

/// In a page table: no page that may be accessed this way.
const NONE: u16 = u16::MAX;
const _: () = assert!(PAGES < NONE as usize);

type Table = [[u16; 2]; PAGES];
const READ: usize = 0;
const WRITE: usize = 1;

/// Pages, and a table that says where the page of an address is.
#[derive(Debug)]
pub(super) struct Memory {
    /// For each page of the address space, its place in `pages`: for loads, and for stores, where
    /// those that are not writable are missing.
    table: Box<Table>,
    pages: Vec<Page>,
    /// Numbers of the pages in the order of `pages`.
    touched: Vec<u16>,
}

/// The parts of `Memory` as the interpreter loop wants them, apart.
pub(super) struct View<'a> {
    table: &'a Table,
    pages: &'a mut [Page],
}

impl Memory {
    pub(super) fn new() -> Self {
        Self { table: Box::new([[NONE; 2]; PAGES]), pages: Vec::new(), touched: Vec::new() }
    }

    /// Pages touched so far.
    pub(super) fn len(&self) -> u32 {
        self.pages.len() as u32
    }

    /// Pages that there is room for without asking the allocator.
    pub(super) fn capacity(&self) -> usize {
        self.pages.capacity()
    }

    /// Forgets all pages, and keeps room for at most `pages_max` of them.
    pub(super) fn clear(&mut self, pages_max: usize) {
        for &page in &self.touched {
            self.table[usize::from(page)] = [NONE; 2];
        }
        self.touched.clear();
        self.pages.clear();
        self.pages.shrink_to(pages_max);
    }

    /// Whether the page with this number may be accessed without touching it first.
    pub(super) fn is_touched(&self, page: u64) -> bool {
        self.table.get(page as usize).is_some_and(|places| places[READ] != NONE)
    }

    /// Adds a page of zeros, of which `fill` gets the bytes. It must not have been touched.
    pub(super) fn add(&mut self, page: u64, writable: bool) -> &mut Page {
        static ZEROS: Page = [0; PAGE_SIZE];
        let place = self.pages.len();
        self.table[page as usize] = [place as u16, if writable { place as u16 } else { NONE }];
        self.touched.push(page as u16);
        self.pages.extend_from_slice(core::slice::from_ref(&ZEROS));
        &mut self.pages[place]
    }

    pub(super) fn view(&mut self) -> View<'_> {
        View { table: &self.table, pages: &mut self.pages }
    }

    /// The touched page with this number.
    pub(super) fn page(&self, page: u64) -> Option<&Page> {
        self.pages.get(usize::from(self.table.get(page as usize)?[READ]))
    }

    /// The touched page with this number, if it is writable.
    pub(super) fn page_mut(&mut self, page: u64) -> Option<&mut Page> {
        self.pages.get_mut(usize::from(self.table.get(page as usize)?[WRITE]))
    }
}

impl View<'_> {
    /// `N` bytes at an address, or `None` if a page of them has yet to be touched.
    #[inline(always)]
    pub(super) fn load<const N: usize>(&self, address: u64) -> Option<[u8; N]> {
        let place = self.table.get((address / PAGE_SIZE as u64) as usize)?[READ];
        let page = self.pages.get(usize::from(place))?;
        match page.get(address as usize % PAGE_SIZE..).and_then(|bytes| bytes.first_chunk::<N>()) {
            Some(bytes) => Some(*bytes),
            None => load_across(self.table, self.pages, address),
        }
    }

    /// Stores `N` bytes, or answers `None` if a page of them has yet to be touched for writing.
    #[inline(always)]
    pub(super) fn store<const N: usize>(&mut self, address: u64, bytes: [u8; N]) -> Option<()> {
        let place = self.table.get((address / PAGE_SIZE as u64) as usize)?[WRITE];
        let page = self.pages.get_mut(usize::from(place))?;
        let slot = page.get_mut(address as usize % PAGE_SIZE..);
        match slot.and_then(|slot| slot.first_chunk_mut::<N>()) {
            Some(slot) => {
                *slot = bytes;
                Some(())
            }
            None => store_across(self.table, self.pages, address, bytes),
        }
    }

    /// Loads for a read-modify-write: the page must be writable.
    #[inline(always)]
    pub(super) fn load_for_store<const N: usize>(&mut self, address: u64) -> Option<[u8; N]> {
        let last = address.wrapping_add(N as u64 - 1);
        for address in [address, last] {
            let place = self.table.get((address / PAGE_SIZE as u64) as usize)?[WRITE];
            self.pages.get(usize::from(place))?;
        }
        self.load(address)
    }
}

/// A load that crosses from one page into the next.
#[cold]
#[inline(never)]
fn load_across<const N: usize>(table: &Table, pages: &[Page], address: u64) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    for (offset, byte) in bytes.iter_mut().enumerate() {
        let address = address.wrapping_add(offset as u64);
        let place = table.get((address / PAGE_SIZE as u64) as usize)?[READ];
        *byte = pages.get(usize::from(place))?[address as usize % PAGE_SIZE];
    }
    Some(bytes)
}

/// A store that crosses from one page into the next; nothing is stored unless both are there.
#[cold]
#[inline(never)]
fn store_across<const N: usize>(
    table: &Table,
    pages: &mut [Page],
    address: u64,
    bytes: [u8; N],
) -> Option<()> {
    let last = address.wrapping_add(N as u64 - 1);
    pages.get(usize::from(table.get((last / PAGE_SIZE as u64) as usize)?[WRITE]))?;
    for (offset, byte) in bytes.into_iter().enumerate() {
        let address = address.wrapping_add(offset as u64);
        let place = table.get((address / PAGE_SIZE as u64) as usize)?[WRITE];
        pages.get_mut(usize::from(place))?[address as usize % PAGE_SIZE] = byte;
    }
    Some(())
}
