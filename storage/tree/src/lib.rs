//! storage/tree
