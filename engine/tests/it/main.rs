//! Public behaviour of the engine: one binary, a file per topic.

mod import;
mod kernel;
mod reel;
mod replay;
