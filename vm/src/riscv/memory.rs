//! The memory of one frame: pages that come into being when they are first touched.

use alloc::{boxed::Box, vec::Vec};

use super::{PAGE_SIZE, PAGES};

/// The bytes of one page.
pub(super) type Page = [u8; PAGE_SIZE];

/// In a page table: no page that may be accessed this way.
const NONE: u16 = u16::MAX;
const _: () = assert!(PAGES < NONE as usize);

/// Pages, and tables that say where the page of an address is.
#[derive(Debug)]
pub(super) struct Memory {
    /// For loads: the place in `pages` of each page of the address space.
    reads: Box<[u16; PAGES]>,
    /// The same for stores: pages that are not writable are missing.
    writes: Box<[u16; PAGES]>,
    pages: Vec<Page>,
    /// Numbers of the pages in the order of `pages`.
    touched: Vec<u16>,
}

/// The parts of `Memory` as the interpreter loop wants them, apart.
pub(super) struct View<'a> {
    pub(super) reads: &'a [u16; PAGES],
    pub(super) writes: &'a [u16; PAGES],
    pub(super) pages: &'a mut [Page],
}

impl Memory {
    pub(super) fn new() -> Self {
        let (reads, writes) = (Box::new([NONE; PAGES]), Box::new([NONE; PAGES]));
        Self { reads, writes, pages: Vec::new(), touched: Vec::new() }
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
            self.reads[usize::from(page)] = NONE;
            self.writes[usize::from(page)] = NONE;
        }
        self.touched.clear();
        self.pages.clear();
        self.pages.shrink_to(pages_max);
    }

    /// Whether the page with this number may be accessed without touching it first.
    pub(super) fn is_touched(&self, page: u64) -> bool {
        self.reads.get(page as usize).is_some_and(|&place| place != NONE)
    }

    /// Adds a page of zeros, of which `fill` gets the bytes. It must not have been touched.
    pub(super) fn add(&mut self, page: u64, writable: bool) -> &mut Page {
        static ZEROS: Page = [0; PAGE_SIZE];
        let place = self.pages.len();
        self.reads[page as usize] = place as u16;
        if writable {
            self.writes[page as usize] = place as u16;
        }
        self.touched.push(page as u16);
        self.pages.extend_from_slice(core::slice::from_ref(&ZEROS));
        &mut self.pages[place]
    }

    pub(super) fn view(&mut self) -> View<'_> {
        View { reads: &self.reads, writes: &self.writes, pages: &mut self.pages }
    }

    /// The touched page with this number.
    pub(super) fn page(&self, page: u64) -> Option<&Page> {
        self.pages.get(usize::from(*self.reads.get(page as usize)?))
    }

    /// The touched page with this number, if it is writable.
    pub(super) fn page_mut(&mut self, page: u64) -> Option<&mut Page> {
        self.pages.get_mut(usize::from(*self.writes.get(page as usize)?))
    }
}

impl View<'_> {
    /// `N` bytes at an address, or `None` if a page of them has yet to be touched.
    #[inline(always)]
    pub(super) fn load<const N: usize>(&self, address: u64) -> Option<[u8; N]> {
        let place = *self.reads.get((address / PAGE_SIZE as u64) as usize)?;
        let page = self.pages.get(usize::from(place))?;
        match page.get(address as usize % PAGE_SIZE..).and_then(|bytes| bytes.first_chunk::<N>()) {
            Some(bytes) => Some(*bytes),
            None => load_across(self.reads, self.pages, address),
        }
    }

    /// Stores `N` bytes, or answers `None` if a page of them has yet to be touched for writing.
    #[inline(always)]
    pub(super) fn store<const N: usize>(&mut self, address: u64, bytes: [u8; N]) -> Option<()> {
        let place = *self.writes.get((address / PAGE_SIZE as u64) as usize)?;
        let page = self.pages.get_mut(usize::from(place))?;
        let slot = page.get_mut(address as usize % PAGE_SIZE..);
        match slot.and_then(|slot| slot.first_chunk_mut::<N>()) {
            Some(slot) => {
                *slot = bytes;
                Some(())
            }
            None => store_across(self.writes, self.pages, address, bytes),
        }
    }

    /// Loads for a read-modify-write: the page must be writable.
    #[inline(always)]
    pub(super) fn load_for_store<const N: usize>(&mut self, address: u64) -> Option<[u8; N]> {
        let last = address.wrapping_add(N as u64 - 1);
        for address in [address, last] {
            let place = *self.writes.get((address / PAGE_SIZE as u64) as usize)?;
            self.pages.get(usize::from(place))?;
        }
        self.load(address)
    }
}

/// A load that crosses from one page into the next.
#[cold]
#[inline(never)]
fn load_across<const N: usize>(
    reads: &[u16; PAGES],
    pages: &[Page],
    address: u64,
) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    for (offset, byte) in bytes.iter_mut().enumerate() {
        let address = address.wrapping_add(offset as u64);
        let place = *reads.get((address / PAGE_SIZE as u64) as usize)?;
        *byte = pages.get(usize::from(place))?[address as usize % PAGE_SIZE];
    }
    Some(bytes)
}

/// A store that crosses from one page into the next; nothing is stored unless both are there.
#[cold]
#[inline(never)]
fn store_across<const N: usize>(
    writes: &[u16; PAGES],
    pages: &mut [Page],
    address: u64,
    bytes: [u8; N],
) -> Option<()> {
    let last = address.wrapping_add(N as u64 - 1);
    pages.get(usize::from(*writes.get((last / PAGE_SIZE as u64) as usize)?))?;
    for (offset, byte) in bytes.into_iter().enumerate() {
        let address = address.wrapping_add(offset as u64);
        let place = *writes.get((address / PAGE_SIZE as u64) as usize)?;
        pages.get_mut(usize::from(place))?[address as usize % PAGE_SIZE] = byte;
    }
    Some(())
}
