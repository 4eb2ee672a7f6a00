//! The icons, as paths in a 16 by 16 box with a stroke of 1.5.
//!
//! Belongs here: path data and drawing it. Does not belong here: buttons, colours.

use super::svg_path::flatten;
use egui::{Color32, Painter, Pos2, Rect, Shape, Stroke, Vec2, vec2};
use flowreel_engine::model::topology::ComponentKind;

macro_rules! icons {
    ($($item:ident $style:ident $data:literal,)+) => {
        /// Which icon.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "an icon's name says what it shows")]
        pub enum Icon { $($item,)+ }

        impl Icon {
            /// Every icon.
            pub const ALL: &'static [Self] = &[$(Self::$item,)+];

            const fn data(self) -> (Style, &'static str) {
                match self { $(Self::$item => (Style::$style, $data),)+ }
            }
        }
    };
}

#[derive(Clone, Copy)]
enum Style {
    Stroked,
    Filled,
}

icons! {
    Clients Stroked "M8 8.2a2.7 2.7 0 1 0 0-5.4 2.7 2.7 0 0 0 0 5.4ZM2.8 13.6c.6-2.5 2.7-3.9 5.2-3.9s4.6 1.4 5.2 3.9",
    Balancer Stroked "M2 8h4M6 8l5-5M6 8l5 5M6 8h7.6M11 3h2.6M11 13h2.6",
    Server Stroked "M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5h.01M5 11h.01",
    Database Stroked "M2.8 4c0-1.2 2.3-2 5.2-2s5.2.8 5.2 2-2.3 2-5.2 2-5.2-.8-5.2-2ZM2.8 4v8c0 1.2 2.3 2 5.2 2s5.2-.8 5.2-2V4M2.8 8c0 1.2 2.3 2 5.2 2s5.2-.8 5.2-2",
    Queue Stroked "M2.5 3.5v9M5.8 3.5v9M9.1 3.5v9M11.5 8h3M13 6.3 14.7 8 13 9.7",
    Worker Stroked "M8 10.3a2.3 2.3 0 1 0 0-4.6 2.3 2.3 0 0 0 0 4.6ZM8 1.8v2M8 12.2v2M1.8 8h2M12.2 8h2M3.6 3.6 5 5M11 11l1.4 1.4M12.4 3.6 11 5M5 11l-1.4 1.4",
    Mail Stroked "M2 3.8h12v8.6H2zM2 4.2l6 4.6 6-4.6",
    Websocket Stroked "M9 1.8 3.6 9H8l-1 5.2L12.4 7H8z",
    Play Filled "M4.5 2.8v10.4l8.6-5.2z",
    Pause Filled "M4.2 2.8h2.6v10.4H4.2zM9.2 2.8h2.6v10.4H9.2z",
    Home Filled "M3 3h1.8v10H3zM13 3v10L5.6 8z",
    End Filled "M11.2 3H13v10h-1.8zM3 3v10l7.4-5z",
    EventBack Filled "M10.8 3v10L4.2 8z",
    EventForward Filled "M5.2 3v10l6.6-5z",
    HopBack Stroked "M9.5 3.5 5 8l4.5 4.5M13 3.5 8.5 8l4.5 4.5",
    HopForward Stroked "M6.5 3.5 11 8l-4.5 4.5M3 3.5 7.5 8 3 12.5",
    Search Stroked "M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9ZM10.4 10.4 14 14",
    Fork Stroked "M4 2.5v11M4 9.5c0-3 7.5-1 7.5-5M9.6 5.4l1.9-2 1.9 2",
    Compare Stroked "M2.5 3h4.5v10H2.5zM9 3h4.5v10H9z",
    Bookmark Stroked "M4.5 2.5h7v11L8 10.6l-3.5 2.9z",
    Breakpoint Stroked "M8 13a5 5 0 1 0 0-10 5 5 0 0 0 0 10Z",
    Loop Stroked "M11 2.2 13.4 4.6 11 7M13.2 4.6H5.5A3 3 0 0 0 2.5 7.6M5 13.8 2.6 11.4 5 9M2.8 11.4h7.7a3 3 0 0 0 3-3",
    Cross Stroked "M4 4l8 8M12 4l-8 8",
    Export Stroked "M8 2v8M5 5l3-3 3 3M3 10v3.5h10V10",
    Help Stroked "M6 6.2a2 2 0 1 1 3 1.7c-.7.4-1 .8-1 1.6M8 12h.01",
    Clock Stroked "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM8 4.8V8l2.2 1.4",
    Down Stroked "M4 6l4 4 4-4",
    Right Stroked "M6 4l4 4-4 4",
    Check Stroked "M3.5 8.4l3 3 6-6.6",
    Follow Stroked "M8 10.2a2.2 2.2 0 1 0 0-4.4 2.2 2.2 0 0 0 0 4.4ZM8 1.5v2.7M8 11.8v2.7M1.5 8h2.7M11.8 8h2.7",
    Fit Stroked "M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10",
    File Stroked "M4 2h5l3.5 3.5V14H4zM9 2v3.5h3.5",
    Flow Stroked "M2 8h3l2-4.5 3 9 2-4.5h2.5",
    Live Stroked "M8 9a1 1 0 1 0 0-2 1 1 0 0 0 0 2ZM5 11a4.2 4.2 0 0 1 0-6M11 5a4.2 4.2 0 0 1 0 6M2.9 13a7 7 0 0 1 0-10M13.1 3a7 7 0 0 1 0 10",
    Copy Stroked "M5.5 5.5h8v8h-8zM10.5 5V2.5h-8v8H5",
    Book Stroked "M8 4C6.5 2.9 4.6 2.6 2.5 2.8v9.6c2.1-.2 4 .1 5.5 1.2 1.5-1.1 3.4-1.4 5.5-1.2V2.8C11.4 2.6 9.5 2.9 8 4ZM8 4v9.6",
    Chart Stroked "M2.5 2.5v11h11M5 11c2.5 0 3.2-1.2 4.5-3.5S12 4 13.5 3.5",
    Bell Stroked "M4 11V7.3a4 4 0 0 1 8 0V11l1.3 1.3H2.7zM6.7 14h2.6",
    Filter Stroked "M2.5 3.5h11L9.6 8.4v4.4L6.4 11V8.4z",
    Theme Stroked "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM8 2v12M8 5.4h4.6M8 8h5.4M8 10.6h4.6",
}

impl Icon {
    /// The icon that stands for a kind of component.
    #[must_use]
    pub const fn of_component(kind: ComponentKind) -> Self {
        match kind {
            ComponentKind::Clients => Self::Clients,
            ComponentKind::Balancer => Self::Balancer,
            ComponentKind::Server => Self::Server,
            ComponentKind::Middleware | ComponentKind::Controller => Self::Flow,
            ComponentKind::Database => Self::Database,
            ComponentKind::Queue => Self::Queue,
            ComponentKind::Worker => Self::Worker,
            ComponentKind::Smtp => Self::Mail,
            ComponentKind::Websocket => Self::Websocket,
            ComponentKind::External => Self::Export,
            ComponentKind::Delay => Self::Clock,
        }
    }
}

/// Draws an icon into a square centred in `rect`.
pub fn draw(painter: &Painter, rect: Rect, icon: Icon, color: Color32) {
    painter.extend(shapes(rect, icon, color));
}

/// The shapes of an icon centred in `rect`.
#[must_use]
pub fn shapes(rect: Rect, icon: Icon, color: Color32) -> Vec<Shape> {
    let side = rect.width().min(rect.height());
    let scale = side / 16.0;
    let corner = rect.center() - Vec2::splat(side / 2.0);
    let stroke = Stroke::new(1.5 * scale, color);
    let (style, data) = icon.data();
    let mut shapes = Vec::new();
    for subpath in flatten(data) {
        let points: Vec<Pos2> = subpath
            .points
            .iter()
            .map(|point| corner + point.to_vec2() * scale)
            .collect();
        let is_dot = points.len() == 2 && points[0].distance(points[1]) < 0.1 * scale;
        shapes.push(match style {
            Style::Filled => Shape::convex_polygon(points, color, Stroke::NONE),
            Style::Stroked if is_dot => Shape::circle_filled(points[0], 0.9 * scale, color),
            Style::Stroked if subpath.is_closed => Shape::closed_line(points, stroke),
            Style::Stroked => Shape::line(points, stroke),
        });
    }
    shapes
}

/// The program's mark: a rounded frame with one request on its way.
pub fn draw_logo(painter: &Painter, rect: Rect, color: Color32) {
    let scale = rect.width().min(rect.height()) / 22.0;
    let center = rect.center();
    painter.rect_stroke(
        Rect::from_center_size(center, Vec2::splat(20.5 * scale)),
        6.0 * scale,
        Stroke::new(1.5 * scale, color),
        egui::StrokeKind::Middle,
    );
    for side in [-1.0, 1.0] {
        painter.line_segment(
            [
                center + vec2(side * 6.4, 0.0) * scale,
                center + vec2(side * 2.4, 0.0) * scale,
            ],
            Stroke::new(1.6 * scale, color),
        );
    }
    painter.circle_filled(center, 2.8 * scale, color);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_icon_stays_inside_its_box() {
        for &icon in Icon::ALL {
            let subpaths = flatten(icon.data().1);
            assert!(!subpaths.is_empty(), "{icon:?}");
            for point in subpaths.iter().flat_map(|subpath| &subpath.points) {
                let range = 0.0..=16.0;
                assert!(
                    range.contains(&point.x) && range.contains(&point.y),
                    "{icon:?} {point:?}"
                );
            }
        }
    }
}
