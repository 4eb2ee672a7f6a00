//! Lengths in points: type sizes, spacing, radii, strokes, and the regions of the window.
//!
//! Belongs here: numbers from the visual specification. Does not belong here: colours.

/// Axis ticks, section heads and the second line of a journey row.
pub const TEXT_SMALL: f32 = 11.5;
/// Labels.
pub const TEXT_LABEL: f32 = 12.0;
/// Rows and buttons.
pub const TEXT_ROW: f32 = 12.5;
/// Running text.
pub const TEXT_BODY: f32 = 13.0;
/// Name on a node.
pub const TEXT_NODE: f32 = 13.5;
/// Title of a panel.
pub const TEXT_TITLE: f32 = 14.0;
/// Number on a node, id of the selected request.
pub const TEXT_NUMBER: f32 = 17.0;
/// Number in the metrics strip.
pub const TEXT_METRIC: f32 = 21.0;
/// The clock.
pub const TEXT_CLOCK: f32 = 24.0;

/// Sides of a panel.
pub const PANEL_PAD: f32 = 16.0;
/// One row of a list.
pub const ROW_HEIGHT: f32 = 25.0;

/// Check boxes and keys.
pub const RADIUS_SMALL: f32 = 4.0;
/// Badges.
pub const RADIUS_BADGE: f32 = 5.0;
/// Buttons and inputs.
pub const RADIUS_BUTTON: f32 = 7.0;
/// Icon buttons.
pub const RADIUS_ICON: f32 = 8.0;
/// Cards and lanes.
pub const RADIUS_CARD: f32 = 14.0;

/// Dividers.
pub const STROKE_DIVIDER: f32 = 1.0;
/// Outline of a node.
pub const STROKE_NODE: f32 = 1.25;
/// Outline of a selected or failing node.
pub const STROKE_NODE_STRONG: f32 = 1.75;
/// Edges.
pub const STROKE_EDGE: f32 = 1.6;
/// The selected path.
pub const STROKE_PATH: f32 = 2.2;
/// The halo under the selected path.
pub const STROKE_HALO: f32 = 9.0;
/// Ring of a status.
pub const STROKE_RING: f32 = 2.0;
/// Component bar at the left of a node.
pub const STROKE_BAR: f32 = 3.0;
/// The playhead.
pub const STROKE_PLAYHEAD: f32 = 1.8;
/// The ring round the focused widget.
pub const STROKE_FOCUS: f32 = 2.0;

/// Height of the top bar.
pub const TOP_BAR: f32 = 48.0;
/// Height of the metrics strip.
pub const METRICS: f32 = 68.0;
/// Width of the left panel.
pub const LEFT: f32 = 228.0;
/// Width of the left panel folded to icons.
pub const LEFT_RAIL: f32 = 48.0;
/// Width of the inspector.
pub const RIGHT: f32 = 340.0;
/// Height of the timeline with all lanes.
pub const TIMELINE: f32 = 208.0;
/// Height of the timeline with the transport and one lane.
pub const TIMELINE_SMALL: f32 = 142.0;
