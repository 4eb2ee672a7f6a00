//! The three pictures on the cards: a reel, a graph, a live curve. Decoration, not data.
//!
//! Belongs here: drawing them in a 340 by 148 box. Does not belong here: anything real.

use crate::theme::svg_path::flatten;
use crate::theme::{Flow, Theme, marks, mixed, size};
use crate::view::Mode;
use egui::{Painter, Pos2, Rect, Shape, Stroke, vec2};
use flowreel_engine::model::topology::ComponentKind;

/// Draws the picture of a card into the middle of `rect`.
pub(super) fn draw(painter: &Painter, rect: Rect, mode: Mode, theme: &Theme) {
    let scale = (rect.width() / 340.0).min(rect.height() / 148.0).min(1.0);
    let corner = rect.center() - vec2(170.0, 74.0) * scale;
    let art = Art {
        painter,
        corner,
        scale,
        theme,
    };
    match mode {
        Mode::Replay => art.reel(),
        Mode::Simulate => art.graph(),
        Mode::Live => art.curve(),
    }
}

struct Art<'a> {
    painter: &'a Painter,
    corner: Pos2,
    scale: f32,
    theme: &'a Theme,
}

/// The same uneven heights each time: a small multiplicative generator.
fn heights(seed: u64) -> impl Iterator<Item = f32> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state = state * 16_807 % 2_147_483_647;
        (state as f64 / 2_147_483_647.0) as f32
    })
}

impl Art<'_> {
    fn at(&self, x: f32, y: f32) -> Pos2 {
        self.corner + vec2(x, y) * self.scale
    }

    fn stroke(&self, width: f32, color: egui::Color32) -> Stroke {
        Stroke::new(width * self.scale, color)
    }

    fn reel(&self) {
        let theme = self.theme;
        for (index, random) in (0..58_u16).zip(heights(7)) {
            let bump = if (35..44).contains(&index) { 24.0 } else { 0.0 };
            let height = 14.0 + random * 26.0 + bump;
            let x = 26.0 + f32::from(index) * 5.0;
            let bar = Rect::from_min_max(self.at(x, 104.0 - height), self.at(x + 3.6, 104.0));
            let color = if index < 37 {
                mixed(theme.flow_mark(Flow::Email), 0.8, theme.bg0)
            } else {
                theme.line2
            };
            self.painter.rect_filled(bar, 1.0, color);
        }
        let line = [self.at(26.0, 112.0), self.at(314.0, 112.0)];
        self.painter
            .line_segment(line, self.stroke(1.0, theme.line2));
        for x in [60.0, 120.0, 180.0, 240.0, 300.0] {
            let points = vec![
                self.at(x, 116.0),
                self.at(x + 3.5, 119.5),
                self.at(x, 123.0),
                self.at(x - 3.5, 119.5),
            ];
            self.painter
                .add(Shape::convex_polygon(points, theme.t3, Stroke::NONE));
        }
        let head = [self.at(211.0, 34.0), self.at(211.0, 116.0)];
        self.painter
            .line_segment(head, self.stroke(2.0, theme.selection));
        let points = vec![
            self.at(205.0, 28.0),
            self.at(217.0, 28.0),
            self.at(217.0, 34.0),
            self.at(211.0, 40.0),
            self.at(205.0, 34.0),
        ];
        self.painter
            .add(Shape::convex_polygon(points, theme.selection, Stroke::NONE));
    }

    /// Path data in the box's own units, moved by `x` and `y`.
    fn path(&self, data: &str, [x, y]: [f32; 2]) -> Vec<Vec<Pos2>> {
        flatten(data)
            .into_iter()
            .map(|subpath| {
                subpath
                    .points
                    .iter()
                    .map(|point| self.at(point.x + x, point.y + y))
                    .collect()
            })
            .collect()
    }

    fn edge(&self, data: &str) {
        let stroke = self.stroke(size::STROKE_EDGE, self.theme.edge);
        for points in self.path(data, [0.0, 0.0]) {
            self.painter.add(Shape::line(points, stroke));
        }
    }

    fn node(&self, outline: &str, bar: &str, kind: ComponentKind, place: [f32; 2]) {
        let theme = self.theme;
        let is_outside = kind == ComponentKind::External;
        let stroke = self.stroke(size::STROKE_NODE, theme.line2);
        for points in self.path(outline, place) {
            let fill = Shape::convex_polygon(points.clone(), theme.bg2, Stroke::NONE);
            self.painter.add(fill);
            if is_outside {
                let mut closed = points;
                closed.extend(closed.first().copied());
                self.painter
                    .extend(Shape::dashed_line(&closed, stroke, 5.0, 4.0));
            } else {
                self.painter.add(Shape::closed_line(points, stroke));
            }
        }
        let stroke = self.stroke(size::STROKE_BAR, theme.component_fill(kind));
        for points in self.path(bar, [place[0] + 1.0, place[1]]) {
            self.painter.add(Shape::line(points, stroke));
        }
    }

    fn graph(&self) {
        self.edge("M64 74H96M140 74H168M140 74H147Q153 74 153 68V48Q153 42 159 42H168M140 74H147Q153 74 153 80V100Q153 106 159 106H168");
        self.edge("M204 42H212Q218 42 218 48V50Q218 56 224 56H234M204 74H212Q218 74 218 68V62Q218 56 224 56M204 106H212Q218 106 218 100V70M288 56H310");
        let points = [
            self.at(300.0, 56.0),
            self.at(300.0, 96.0),
            self.at(288.0, 96.0),
        ];
        let stroke = self.stroke(size::STROKE_EDGE, self.theme.edge);
        self.painter
            .extend(Shape::dashed_line(&points, stroke, 4.0, 4.0));
        let clients = "M10 0H26A10 10 0 0 1 36 10V22A10 10 0 0 1 26 32H10A10 10 0 0 1 0 22V10A10 10 0 0 1 10 0Z";
        let clients_bar = "M10 0A10 10 0 0 0 0 10V22A10 10 0 0 0 10 32";
        self.node(clients, clients_bar, ComponentKind::External, [28.0, 58.0]);
        let balancer = "M14 0H30L44 20L30 40H14L0 20Z";
        self.node(
            balancer,
            "M14 0L0 20L14 40",
            ComponentKind::Balancer,
            [96.0, 54.0],
        );
        let server = "M4 0H32A4 4 0 0 1 36 4V18A4 4 0 0 1 32 22H4A4 4 0 0 1 0 18V4A4 4 0 0 1 4 0Z";
        for y in [31.0, 63.0, 95.0] {
            self.node(server, "M0 1V21", ComponentKind::Server, [168.0, y]);
        }
        let queue = "M9 0H45A9 14 0 0 1 45 28H9A9 14 0 0 1 9 0Z";
        for y in [42.0, 82.0] {
            self.node(
                queue,
                "M9 0A9 14 0 0 0 9 28",
                ComponentKind::Queue,
                [234.0, y],
            );
            let stroke = self.stroke(size::STROKE_NODE, self.theme.line2);
            for points in self.path("M45 0A9 14 0 0 0 45 28", [234.0, y]) {
                self.painter.add(Shape::line(points, stroke));
            }
        }
        let tokens = [
            (80.0, 74.0, 5.0, Flow::Email),
            (154.0, 60.0, 4.5, Flow::InApp),
            (218.0, 74.0, 5.0, Flow::Email),
            (300.0, 80.0, 5.0, Flow::Retry),
        ];
        for (x, y, radius, flow) in tokens {
            let radius = radius * self.scale;
            let color = self.theme.flow_mark(flow);
            let edge = self.theme.token_edge;
            self.painter.extend(marks::token_shapes(
                self.at(x, y),
                radius,
                flow,
                color,
                edge,
            ));
        }
    }

    fn curve(&self) {
        let theme = self.theme;
        let color = theme.flow_mark(Flow::InApp);
        let mut value = 40.0_f32;
        let points: Vec<Pos2> = (0..60_u16)
            .zip(heights(5))
            .map(|(index, random)| {
                value = (value + (random - 0.5) * 34.0) * 0.85 + 40.0 * 0.15;
                self.at(20.0 + f32::from(index) * 4.4, 112.0 - value * 1.05)
            })
            .collect();
        let Some(end) = points.last().copied() else {
            return;
        };
        self.painter
            .add(Shape::line(points, self.stroke(2.0, color)));
        for (radius, strength) in [(8.0, 0.6), (15.0, 0.42), (23.0, 0.24)] {
            let stroke = self.stroke(1.5, mixed(color, strength, theme.bg0));
            self.painter.circle_stroke(end, radius * self.scale, stroke);
        }
        self.painter.circle_filled(end, 4.5 * self.scale, color);
        let line = [self.at(20.0, 120.0), self.at(320.0, 120.0)];
        self.painter
            .line_segment(line, self.stroke(1.0, theme.line2));
    }
}
