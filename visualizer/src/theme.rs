//! How everything looks: the only place where a colour, a type size or a stroke width is named.
//!
//! Belongs here: tokens, fonts, egui style, icons and the marks that stand for a status or a flow.
//! Does not belong here: layout of a panel, positions in the graph, anything that reads a reel.

mod fonts;
pub mod icons;
pub mod marks;
pub mod size;
mod style;
pub mod svg_path;
pub mod text;
mod tokens;

pub use fonts::font_definitions;
pub use style::install;
pub use tokens::{Badge, Flow, Theme, faded, mixed, theme};
