//! The visualizer from outside: sources, playback, layout, pictures, and the app driven by its widgets.
//!
//! Belongs here: one file per topic. Does not belong here: rules of one file (unit tests beside it).

mod driven;
mod layout;
mod playback;
mod render;
mod start;
mod support;
