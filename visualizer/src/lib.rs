//! Flowreel's desktop: plays a reel, finished or still growing, as an animated graph.
//!
//! Belongs here: the module list. Does not belong here: anything that computes or draws.

pub mod app;
pub mod cli;
pub mod frame;
pub mod keys;
pub mod numbers;
pub mod panels;
pub mod playback;
pub mod reel;
pub mod render_to_file;
pub mod scene;
pub mod screens;
pub mod session;
pub mod source;
pub mod start;
pub mod theme;
pub mod view;
mod window;
