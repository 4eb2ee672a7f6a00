//! The panels round the graph: plain functions over plain data that answer with actions.
//!
//! Belongs here: what a panel shows of a [`View`] and which [`Action`] its widgets ask for.
//! Does not belong here: Bevy, how a value is worked out, colours (theme), which panels are docked
//! where (screens).
//!
//! A panel keeps nothing between frames but what egui remembers (focus, scroll, open lists).
//!
//! [`View`]: crate::view::View
//! [`Action`]: crate::view::Action

pub mod filters;
pub mod format;
pub mod help;
pub mod inspector;
pub mod metrics_strip;
mod overlay;
mod paint;
mod plots;
mod sections;
pub mod timeline;
pub mod top_bar;
pub(crate) mod widgets;

pub use overlay::overlay_ui;
pub(crate) use paint::{Align, Ink, silent, text, text_mid, text_width, text_within};

use crate::theme::Theme;
use crate::view::View;

/// The colours that the view's settings choose.
#[must_use]
pub fn theme_of(view: &View<'_>) -> &'static Theme {
    crate::theme::theme(view.settings.theme, view.settings.palette)
}

#[cfg(test)]
mod tests;
