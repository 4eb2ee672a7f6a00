//! The graph: where everything stands, what moves, what is drawn.
//!
//! Belongs here: layout, routes, hops, the picture at one playhead and its painter.
//! Does not belong here: panels, the clock, where events come from.

pub mod camera;
pub mod layout;
pub mod paint;
pub mod picture;
pub mod route;
pub mod shape;
pub mod station;
