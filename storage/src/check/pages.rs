//! The database file page by page, without the library: whether its trees are whole.
//!
//! The library trusts what it reads from the file. So a file that may be damaged is walked here
//! first: every page is one that it can be, keys ascend, counts agree, and each page is used once
//! or free. What the rows hold is not looked at. The format is that of libmdbx 0.13: see `page_t`,
//! `node_t`, `tree_t` and `meta_t` there; numbers are little endian.

use crate::mdbx::PAGE_SIZE;
use std::{
    fs::File,
    io::{self, ErrorKind},
    os::unix::fs::FileExt,
};

const PAGE: usize = PAGE_SIZE as usize;
const HEADER: usize = 20;
/// Bytes of a page behind its header.
const SPACE: usize = PAGE - HEADER;
const NODE: usize = 8;
const TREE: usize = 48;
const METAS: u32 = 3;
const MAGIC: u64 = 0x5965_9dbd_ef4c_1103;
const HEIGHT_MAX: u16 = 32;
/// Where there is no root page.
const NO_PAGE: u32 = u32::MAX;

const P_BRANCH: u16 = 0x01;
const P_LEAF: u16 = 0x02;
const P_LARGE: u16 = 0x04;
const P_META: u16 = 0x08;
const P_DUPFIX: u16 = 0x20;
const P_SUBP: u16 = 0x40;
const N_BIG: u8 = 0x01;
const N_TREE: u8 = 0x02;
const N_DUP: u8 = 0x04;

/// What a walk has found wrong, or why it could not go on.
#[derive(Debug)]
pub(crate) enum PageFault {
    Io(io::Error),
    Page { page: u32, what: &'static str },
}

type Result<T> = std::result::Result<T, PageFault>;

impl From<io::Error> for PageFault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// How many pages there are of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PageCount {
    /// Pages that hold rows or lead to them.
    pub used: u64,
    /// Pages that a later commit may use.
    pub free: u64,
    /// Of the three pages that name a commit, those that name none: a write was torn, and where it
    /// was the newest one's, the database is as of the commit before.
    pub torn: u64,
}

/// A tree as its parent describes it.
#[derive(Debug, Clone, Copy)]
struct Tree {
    height: u16,
    dupfix_size: u32,
    root: u32,
    counts: Counts,
    /// The commit that changed it last.
    changed: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    branches: u32,
    leaves: u32,
    large: u32,
    rows: u64,
}

/// What the keys of a tree are, and what its rows may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Numbers, and lists of free pages.
    Free,
    /// Names of tables, and their trees.
    Main,
    Table,
    /// Sorted values of one key.
    Values,
}

/// Where a page hangs: what its keys must be between, and its parent's commit.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    page: u32,
    level: u16,
    from: Option<&'a [u8]>,
    to: Option<&'a [u8]>,
    commit: u64,
}

/// Walks everything that commit `commit` of the database can reach.
pub(crate) fn walk(file: &File, commit: u64) -> Result<PageCount> {
    let (mut meta, mut torn) = (None, 0);
    for page in 0..METAS {
        meta = read_meta(file, page, commit)?.or(meta);
        torn += u64::from(!names_commit(&read_page(file, page)?, page));
    }
    let missing = PageFault::Page { page: 0, what: "the newest commit is not where it must be" };
    let meta = meta.ok_or(missing)?;
    let seen = vec![0; meta.end.div_ceil(64) as usize];
    let mut walk = Walk { file, commit, end: meta.end, seen, free: 0 };
    walk.claim(0, METAS)?;
    walk.tree(&meta.main, Kind::Main, commit)?;
    walk.tree(&meta.free, Kind::Free, commit)?;
    let all: u64 = walk.seen.iter().map(|bits| u64::from(bits.count_ones())).sum();
    if all != u64::from(meta.end) {
        return Err(PageFault::Page { page: 0, what: "a page is neither used nor free" });
    }
    Ok(PageCount { used: all - walk.free, free: walk.free, torn })
}

struct Meta {
    end: u32,
    free: Tree,
    main: Tree,
}

/// Whether a meta page was written as a whole.
fn names_commit(bytes: &[u8], page: u32) -> bool {
    let meta = &bytes[HEADER..];
    let is_meta = u16_at(bytes, 10) == P_META && u32_at(bytes, 16) == page;
    is_meta && u64_at(meta, 0) == MAGIC && u64_at(meta, 8) == u64_at(meta, 176)
}

/// Reads a meta page, if it is the one of this commit.
fn read_meta(file: &File, page: u32, commit: u64) -> Result<Option<Meta>> {
    let bytes = read_page(file, page)?;
    let meta = &bytes[HEADER..];
    if u64_at(meta, 0) != MAGIC || u64_at(meta, 8) != commit || u64_at(meta, 176) != commit {
        return Ok(None);
    }
    let ensure =
        |holds: bool, what| if holds { Ok(()) } else { Err(PageFault::Page { page, what }) };
    ensure(u16_at(&bytes, 10) == P_META && u32_at(&bytes, 16) == page, "no meta page")?;
    ensure(meta[16..20] == [0; 4] && u32_at(meta, 44) == PAGE_SIZE as u32, "an unknown format")?;
    let (lower, upper) = (u32_at(meta, 24), u32_at(meta, 28));
    let (now, end) = (u32_at(meta, 32), u32_at(meta, 36));
    let bounds = lower <= now && now <= upper && end <= now && end >= METAS;
    ensure(bounds, "the bounds of the file make no sense")?;
    let size = file.metadata()?.len();
    ensure(size >= u64::from(end) * PAGE_SIZE, "the file ends before its last page")?;
    let mut free = read_tree(&meta[40..88]);
    // The page size lies in this place.
    free.dupfix_size = 0;
    Ok(Some(Meta { end, free, main: read_tree(&meta[88..136]) }))
}

fn read_tree(bytes: &[u8]) -> Tree {
    Tree {
        height: u16_at(bytes, 2),
        dupfix_size: u32_at(bytes, 4),
        root: u32_at(bytes, 8),
        counts: Counts {
            branches: u32_at(bytes, 12),
            leaves: u32_at(bytes, 16),
            large: u32_at(bytes, 20),
            rows: u64_at(bytes, 32),
        },
        changed: u64_at(bytes, 40),
    }
}

fn read_page(file: &File, page: u32) -> Result<Vec<u8>> {
    let mut bytes = vec![0; PAGE];
    match file.read_exact_at(&mut bytes, u64::from(page) * PAGE_SIZE) {
        Ok(()) => Ok(bytes),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
            Err(PageFault::Page { page, what: "the file ends before it" })
        }
        Err(error) => Err(error.into()),
    }
}

struct Walk<'a> {
    file: &'a File,
    /// The newest commit.
    commit: u64,
    /// The first page that was never used.
    end: u32,
    /// A bit for each page that was met.
    seen: Vec<u64>,
    /// How many pages are said to be free.
    free: u64,
}

impl Walk<'_> {
    /// Takes note that pages are met; each may be but once.
    fn claim(&mut self, first: u32, count: u32) -> Result<()> {
        let end = first.checked_add(count).filter(|end| *end <= self.end);
        let fault = |what| PageFault::Page { page: first, what };
        for page in first..end.ok_or_else(|| fault("it lies behind the end of the database"))? {
            let (bits, bit) = (&mut self.seen[page as usize / 64], 1 << (page % 64));
            if *bits & bit != 0 {
                return Err(fault("it is used twice"));
            }
            *bits |= bit;
        }
        Ok(())
    }

    fn tree(&mut self, tree: &Tree, kind: Kind, commit: u64) -> Result<()> {
        let mut counts = Counts::default();
        if tree.root == NO_PAGE {
            if tree.height != 0 || tree.counts != counts {
                return Err(PageFault::Page { page: 0, what: "a tree without a root has rows" });
            }
            return Ok(());
        }
        let place = Place { page: tree.root, level: tree.height, from: None, to: None, commit };
        let fault = |what| PageFault::Page { page: tree.root, what };
        if tree.height == 0 || tree.height > HEIGHT_MAX {
            return Err(fault("a tree of this height cannot be"));
        }
        if tree.changed > self.commit {
            return Err(fault("the tree was changed after the newest commit"));
        }
        self.page(tree, kind, &place, &mut counts)?;
        if counts != tree.counts {
            return Err(fault("the tree has other numbers of pages or rows than it should"));
        }
        Ok(())
    }

    fn page(
        &mut self,
        tree: &Tree,
        kind: Kind,
        place: &Place<'_>,
        counts: &mut Counts,
    ) -> Result<()> {
        self.claim(place.page, 1)?;
        let bytes = read_page(self.file, place.page)?;
        let page = Page { bytes: &bytes, number: place.page };
        let commit = page.commit();
        page.ensure(u32_at(&bytes, 16) == place.page, "it has another page's number")?;
        page.ensure(commit <= place.commit, "it is newer than what leads to it")?;
        if place.level > 1 {
            page.ensure(page.flags() == P_BRANCH, "no branch where one must be")?;
            counts.branches += 1;
            return self.branch(tree, kind, (place, &page), counts);
        }
        counts.leaves += 1;
        if kind == Kind::Values {
            page.ensure(page.flags() == P_LEAF | P_DUPFIX, "no leaf of values where one must be")?;
            let values = page.values(tree.dupfix_size, SPACE)?;
            page.ascend(values.iter().copied().map(Some), place, false)?;
            counts.rows += values.len() as u64;
            return Ok(());
        }
        page.ensure(page.flags() == P_LEAF, "no leaf where one must be")?;
        let nodes = page.nodes(false)?;
        page.ascend(nodes.iter().map(|node| Some(node.key)), place, kind == Kind::Free)?;
        for node in &nodes {
            counts.rows += self.row(kind, (&page, node), counts)?;
        }
        Ok(())
    }

    fn branch(
        &mut self,
        tree: &Tree,
        kind: Kind,
        (place, page): (&Place<'_>, &Page<'_>),
        counts: &mut Counts,
    ) -> Result<()> {
        let nodes = page.nodes(true)?;
        page.ensure(nodes.len() > 1, "a branch with less than two sides")?;
        // The first side has no key of its own: its keys come after the parent's.
        let keys = nodes.iter().enumerate().map(|(index, node)| (index > 0).then_some(node.key));
        page.ascend(keys, place, kind == Kind::Free)?;
        for (index, node) in nodes.iter().enumerate() {
            page.ensure(node.flags == 0, "a branch with rows")?;
            let below = Place {
                page: node.size,
                level: place.level - 1,
                from: if index == 0 { place.from } else { Some(node.key) },
                to: nodes.get(index + 1).map(|next| next.key).or(place.to),
                commit: page.commit(),
            };
            self.page(tree, kind, &below, counts)?;
        }
        Ok(())
    }

    /// Looks at a row, and says how many it counts for.
    fn row(
        &mut self,
        kind: Kind,
        (page, node): (&Page<'_>, &Node<'_>),
        counts: &mut Counts,
    ) -> Result<u64> {
        match (node.flags, kind) {
            (0 | N_BIG, Kind::Table | Kind::Free) => {
                let large = match node.flags {
                    N_BIG => Some(self.large(page, node, counts)?),
                    _ => None,
                };
                if kind == Kind::Free {
                    self.free_list(page, large.as_deref().unwrap_or(node.data))?;
                }
                Ok(1)
            }
            (N_TREE, Kind::Main) if node.data.len() == TREE => {
                let tree = read_tree(node.data);
                self.tree(&tree, Kind::Table, page.commit())?;
                Ok(1)
            }
            (flags, Kind::Table) if flags == N_TREE | N_DUP && node.data.len() == TREE => {
                let tree = read_tree(node.data);
                self.tree(&tree, Kind::Values, page.commit())?;
                // Their pages count for the table.
                counts.branches += tree.counts.branches;
                counts.leaves += tree.counts.leaves;
                counts.large += tree.counts.large;
                Ok(tree.counts.rows)
            }
            (N_DUP, Kind::Table) => {
                page.ensure(node.data.len() >= HEADER, "a short page of values")?;
                let inner = Page { bytes: node.data, number: page.number };
                let flags = inner.flags();
                page.ensure(flags == P_LEAF | P_DUPFIX | P_SUBP, "no values where they must be")?;
                let size = u32::from(u16_at(node.data, 8));
                let values = inner.values(size, node.data.len() - HEADER)?;
                let place = Place { page: page.number, level: 1, from: None, to: None, commit: 0 };
                page.ascend(values.iter().copied().map(Some), &place, false)?;
                Ok(values.len() as u64)
            }
            _ => Err(PageFault::Page { page: page.number, what: "a row of an unknown kind" }),
        }
    }

    /// Reads a value that has pages of its own.
    fn large(&mut self, page: &Page<'_>, node: &Node<'_>, counts: &mut Counts) -> Result<Vec<u8>> {
        let first = u32_at(node.data, 0);
        let size = node.size as usize;
        let count = (HEADER + size).div_ceil(PAGE) as u32;
        self.claim(first, count)?;
        counts.large += count;
        let bytes = read_page(self.file, first)?;
        let large = Page { bytes: &bytes, number: first };
        large.ensure(u32_at(&bytes, 16) == first, "it has another page's number")?;
        large.ensure(large.flags() == P_LARGE, "no large value where one must be")?;
        large.ensure(u32_at(&bytes, 12) == count, "a large value of another size")?;
        large.ensure(large.commit() <= page.commit(), "it is newer than what leads to it")?;
        let mut value = vec![0; size];
        self.file.read_exact_at(&mut value, u64::from(first) * PAGE_SIZE + HEADER as u64)?;
        Ok(value)
    }

    fn free_list(&mut self, page: &Page<'_>, list: &[u8]) -> Result<()> {
        page.ensure(list.len() >= 4 && list.len().is_multiple_of(4), "no list of free pages")?;
        let count = u32_at(list, 0) as usize;
        page.ensure(count < list.len() / 4, "a list of free pages is cut off")?;
        self.free += count as u64;
        (1..=count).try_for_each(|index| self.claim(u32_at(list, index * 4), 1))
    }
}

/// A page in memory, or a small one in a row.
struct Page<'a> {
    bytes: &'a [u8],
    number: u32,
}

struct Node<'a> {
    key: &'a [u8],
    data: &'a [u8],
    flags: u8,
    /// Of a branch the page below, of a leaf the bytes of the value.
    size: u32,
}

impl<'a> Page<'a> {
    fn ensure(&self, holds: bool, what: &'static str) -> Result<()> {
        if holds { Ok(()) } else { Err(PageFault::Page { page: self.number, what }) }
    }

    fn commit(&self) -> u64 {
        u64_at(self.bytes, 0)
    }

    fn flags(&self) -> u16 {
        u16_at(self.bytes, 10)
    }

    /// The nodes, which fill the page from its end without gaps.
    fn nodes(&self, is_branch: bool) -> Result<Vec<Node<'a>>> {
        let (lower, upper) = (u16_at(self.bytes, 12) as usize, u16_at(self.bytes, 14) as usize);
        let bounds = lower.is_multiple_of(2) && lower <= upper && upper <= SPACE && lower > 0;
        self.ensure(bounds, "its bounds make no sense")?;
        let body = &self.bytes[HEADER..];
        let mut nodes = Vec::with_capacity(lower / 2);
        let mut extents = Vec::with_capacity(lower / 2);
        for entry in body[..lower].chunks_exact(2) {
            let start = u16_at(entry, 0) as usize;
            self.ensure(start >= upper && start + NODE <= SPACE, "a row lies outside of it")?;
            let head = &body[start..];
            let (size, flags, key_len) = (u32_at(head, 0), head[4], u16_at(head, 6) as usize);
            let data_len = match flags {
                _ if is_branch => 0,
                flags if flags & N_BIG != 0 => 4,
                _ => size as usize,
            };
            let len = key_len.saturating_add(data_len);
            self.ensure(len <= SPACE - start - NODE, "a row is longer than the page")?;
            let (key, data) = head[NODE..NODE + len].split_at(key_len);
            nodes.push(Node { key, data, flags, size });
            extents.push((start, start + NODE + len.next_multiple_of(2)));
        }
        extents.sort_unstable();
        let end = extents.iter().try_fold(upper, |at, (start, end)| (*start == at).then_some(*end));
        self.ensure(end == Some(SPACE), "its rows overlap or leave gaps")?;
        Ok(nodes)
    }

    /// The values of one size that lie one after the other in `space` bytes.
    fn values(&self, size: u32, space: usize) -> Result<Vec<&'a [u8]>> {
        let (lower, upper) = (u16_at(self.bytes, 12) as usize, u16_at(self.bytes, 14) as usize);
        let size = size as usize;
        let count = lower / 2;
        let holds = lower.is_multiple_of(2)
            && count > 0
            && size > 1
            && size == u16_at(self.bytes, 8) as usize;
        self.ensure(holds && count * size <= space, "its values do not fit it")?;
        self.ensure(upper + count * (size - 2) == space, "its bounds make no sense")?;
        Ok(self.bytes[HEADER..HEADER + count * size].chunks_exact(size).collect())
    }

    /// Demands that keys ascend, between those that the parent has.
    fn ascend<'k>(
        &self,
        keys: impl Iterator<Item = Option<&'k [u8]>>,
        place: &Place<'_>,
        numbers: bool,
    ) -> Result<()> {
        let less = |a: &[u8], b: &[u8]| match numbers {
            true => u64_at(a, 0) < u64_at(b, 0),
            false => a < b,
        };
        let mut last: Option<&[u8]> = None;
        for key in keys {
            let Some(key) = key else { continue };
            self.ensure(!numbers || key.len() == 8, "a key that is no number")?;
            let after = last.is_none_or(|last| less(last, key));
            self.ensure(after, "its keys are not in order")?;
            let in_place = place.from.is_none_or(|from| !less(key, from))
                && place.to.is_none_or(|to| less(key, to));
            self.ensure(in_place, "a key that belongs elsewhere")?;
            last = Some(key);
        }
        Ok(())
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
