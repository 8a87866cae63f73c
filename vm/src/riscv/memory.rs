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
    /// The page that an address is in, if it may be accessed this way.
    #[inline(always)]
    pub(super) fn page(&mut self, address: u64, store: bool) -> Option<&mut Page> {
        let places = self.table.get((address / PAGE_SIZE as u64) as usize)?;
        self.pages.get_mut(usize::from(places[if store { WRITE } else { READ }]))
    }

    /// `N` bytes that may lie in two pages, or `None` if one of these has yet to be touched.
    pub(super) fn load_across<const N: usize>(&self, address: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        for (offset, byte) in bytes.iter_mut().enumerate() {
            let address = address.wrapping_add(offset as u64);
            let place = self.table.get((address / PAGE_SIZE as u64) as usize)?[READ];
            *byte = self.pages.get(usize::from(place))?[address as usize % PAGE_SIZE];
        }
        Some(bytes)
    }

    /// Stores `N` bytes that may lie in two pages; nothing is stored unless both are there.
    pub(super) fn store_across<const N: usize>(
        &mut self,
        address: u64,
        bytes: [u8; N],
    ) -> Option<()> {
        for address in [address, address.wrapping_add(N as u64 - 1)] {
            let place = self.table.get((address / PAGE_SIZE as u64) as usize)?[WRITE];
            self.pages.get(usize::from(place))?;
        }
        for (offset, byte) in bytes.into_iter().enumerate() {
            let address = address.wrapping_add(offset as u64);
            let place = self.table.get((address / PAGE_SIZE as u64) as usize)?[WRITE];
            self.pages.get_mut(usize::from(place))?[address as usize % PAGE_SIZE] = byte;
        }
        Some(())
    }

    /// Loads for a read-modify-write: the page must be writable.
    pub(super) fn load_for_store<const N: usize>(&mut self, address: u64) -> Option<[u8; N]> {
        for address in [address, address.wrapping_add(N as u64 - 1)] {
            let place = self.table.get((address / PAGE_SIZE as u64) as usize)?[WRITE];
            self.pages.get(usize::from(place))?;
        }
        self.load_across(address)
    }
}
