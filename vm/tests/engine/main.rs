//! The engine over both machines, through its public face.

mod calls;
mod program;
mod world;
