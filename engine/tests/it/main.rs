//! Public behaviour of the engine: one binary, a file per topic.

mod kernel;
mod reel;
mod replay;
