//! Draws one node: silhouette, component bar, icon, words, bars, status and visit numbers.
//!
//! Belongs here: what stands where inside a node. Does not belong here: which words (station.rs).

use super::Brush;
use crate::scene::picture::Node;
use crate::scene::shape::{BAR, Silhouette, silhouette};
use crate::scene::station::Bar;
use crate::theme::{Badge, Theme, icons, marks, mixed, size, text};
use crate::view::Status;
use egui::{Align2, Color32, FontId, Painter, Pos2, Rect, Shape, Stroke, Vec2, pos2, vec2};
use flowreel_engine::model::topology::{Component, ComponentKind};

/// Below this zoom a node shows its name and one number.
const WORDS_FROM: f32 = 0.75;
/// Below this zoom a node shows its icon only.
const NAME_FROM: f32 = 0.35;

/// One node's own drawing board: positions are world units from its top left corner.
struct Board<'a> {
    painter: &'a Painter,
    theme: &'a Theme,
    corner: Pos2,
    size: Vec2,
    zoom: f32,
}

impl Board<'_> {
    fn at(&self, x: f32, y: f32) -> Pos2 {
        self.corner + vec2(x, y) * self.zoom
    }

    fn rect(&self, x: f32, y: f32, width: f32, height: f32) -> Rect {
        Rect::from_min_size(self.at(x, y), vec2(width, height) * self.zoom)
    }

    /// Text on a baseline-like middle line; `font` is given at zoom 1.
    fn text(&self, x: f32, y: f32, align: Align2, words: &str, font: FontId, color: Color32) {
        let font = FontId::new(font.size * self.zoom, font.family);
        self.painter.text(self.at(x, y), align, words, font, color);
    }

    fn polygon(&self, points: Vec<Pos2>, fill: Color32, stroke: Stroke) {
        self.painter
            .add(Shape::convex_polygon(points, fill, stroke));
    }

    fn icon(&self, x: f32, y: f32, side: f32, icon: icons::Icon, color: Color32) {
        icons::draw(self.painter, self.rect(x, y, side, side), icon, color);
    }

    fn bar(&self, x: f32, y: f32, width: f32, height: f32, bar: Bar, color: Color32) {
        let radius = height / 2.0 * self.zoom;
        let track = self.rect(x, y, width, height);
        self.painter.rect_filled(track, radius, self.theme.bg3);
        if bar.share > 0.0 {
            let filled = (width * bar.share.min(1.0)).max(height);
            self.painter
                .rect_filled(self.rect(x, y, filled, height), radius, color);
        }
        if let Some(tick) = bar.tick {
            let x = x + width * tick;
            self.painter.line_segment(
                [self.at(x, y - 3.0), self.at(x, y + height + 3.0)],
                Stroke::new(1.5 * self.zoom, self.theme.t1),
            );
        }
    }

    /// A name that is cut where it would leave the node.
    fn name(&self, x: f32, y: f32, align: Align2, (name, font): (&str, FontId), room: f32) {
        let font = FontId::new(font.size * self.zoom, font.family);
        let mut job =
            egui::text::LayoutJob::simple_singleline(name.to_owned(), font, self.theme.t1);
        job.wrap = egui::text::TextWrapping::truncate_at_width(room * self.zoom);
        let galley = self.painter.layout_job(job);
        let place = align.anchor_size(self.at(x, y), galley.size());
        self.painter.galley(place.min, galley, self.theme.t1);
    }
}

/// A name in the size it has on a full node.
fn title(name: &str) -> (&str, FontId) {
    (name, text::semibold(size::TEXT_NODE))
}

/// Draws the node of one component.
pub(super) fn paint(painter: &Painter, brush: Brush, index: usize) {
    let (Some(component), Some(node), Some(&rect)) = (
        brush.topology.components.get(index),
        brush.picture.nodes.get(index),
        brush.layout.nodes.get(index),
    ) else {
        return;
    };
    let place = brush.lens.screen_rect(rect);
    if !painter.clip_rect().intersects(place.expand(20.0)) {
        return;
    }
    let board = Board {
        painter,
        theme: brush.theme,
        corner: place.min,
        size: rect.size(),
        zoom: brush.lens.zoom,
    };
    let shape = silhouette(component.kind, Rect::from_min_size(Pos2::ZERO, rect.size()));
    body(&board, component.kind, node, &shape);
    if brush.lens.zoom < WORDS_FROM {
        compact(&board, component, node);
    } else {
        inside(&board, component, node);
    }
    status(&board, component.kind, node.status, brush.turn);
    visits(&board, node);
}

fn body(board: &Board, kind: ComponentKind, node: &Node, shape: &Silhouette) {
    let theme = board.theme;
    let place = |points: &[Pos2], by: Vec2| -> Vec<Pos2> {
        points
            .iter()
            .map(|point| board.at(point.x + by.x, point.y + by.y))
            .collect()
    };
    if shape.is_stacked {
        board.polygon(
            place(&shape.outline, vec2(5.0, -5.0)),
            theme.bg1,
            Stroke::new(1.0 * board.zoom, theme.line2),
        );
    }
    let (width, color) = if node.is_marked {
        (size::STROKE_NODE_STRONG, theme.selection)
    } else if node.status == Status::Error {
        (size::STROKE_NODE_STRONG, theme.badge_fill(Badge::Error))
    } else {
        (size::STROKE_NODE, theme.line2)
    };
    let stroke = Stroke::new(width * board.zoom.max(0.6), color);
    board.polygon(place(&shape.outline, Vec2::ZERO), theme.bg2, Stroke::NONE);
    board.painter.add(Shape::line(
        place(&shape.bar, Vec2::ZERO),
        Stroke::new(BAR * board.zoom, theme.component_fill(kind)),
    ));
    if let Some(lid) = &shape.lid {
        board.painter.add(Shape::line(
            place(lid, Vec2::ZERO),
            Stroke::new(size::STROKE_NODE * board.zoom, theme.line2),
        ));
    }
    let mut outline = place(&shape.outline, Vec2::ZERO);
    if shape.is_dashed && !node.is_marked {
        outline.extend(outline.first().copied());
        board.painter.extend(Shape::dashed_line(
            &outline,
            stroke,
            5.0 * board.zoom,
            4.0 * board.zoom,
        ));
    } else {
        board.painter.add(Shape::closed_line(outline, stroke));
    }
}

/// Icon, name and one number.
fn compact(board: &Board, component: &Component, node: &Node) {
    let theme = board.theme;
    let color = theme.component_mark(component.kind);
    let icon = icons::Icon::of_component(component.kind);
    let label = component.label.as_str();
    let middle = board.size / 2.0;
    if board.zoom < NAME_FROM {
        board.icon(middle.x - 14.0, middle.y - 14.0, 28.0, icon, color);
        return;
    }
    // On screen the name keeps its size; what does not fit is cut.
    let side = 14.0 / board.zoom;
    let line = 12.0 / board.zoom;
    let middle = board.size.y / 2.0;
    board.icon(10.0, middle - side, side, icon, color);
    let left = 10.0 + side + 4.0;
    let name = text::semibold(size::TEXT_LABEL / board.zoom);
    let room = board.size.x - left - 4.0;
    board.name(
        left,
        middle - side / 2.0,
        Align2::LEFT_CENTER,
        (label, name),
        room,
    );
    let number = node.words.number.as_ref().unwrap_or(&node.words.lines[0]);
    let font = text::mono_semibold(line);
    board.text(
        10.0,
        middle + line * 0.7,
        Align2::LEFT_CENTER,
        number,
        font,
        theme.t1,
    );
}

fn inside(board: &Board, component: &Component, node: &Node) {
    let theme = board.theme;
    let words = &node.words;
    let color = theme.component_mark(component.kind);
    let icon = icons::Icon::of_component(component.kind);
    let (width, label) = (board.size.x, component.label.as_str());
    let mono = text::mono(size::TEXT_LABEL);
    match component.kind {
        ComponentKind::Clients => {
            board.icon(width / 2.0 - 10.0, 14.0, 20.0, icon, color);
            board.name(
                width / 2.0,
                47.5,
                Align2::CENTER_CENTER,
                title(label),
                width - 8.0,
            );
            board.text(
                width / 2.0,
                66.0,
                Align2::CENTER_CENTER,
                &words.lines[0],
                mono,
                theme.t2,
            );
        }
        ComponentKind::Balancer => {
            board.icon(18.0, 15.0, 16.0, icon, color);
            board.name(19.0, 45.5, Align2::LEFT_CENTER, title(label), width - 34.0);
            board.text(
                19.0,
                63.0,
                Align2::LEFT_CENTER,
                &words.lines[0],
                mono,
                theme.t2,
            );
            shares(board, &words.shares);
        }
        ComponentKind::Server | ComponentKind::Middleware | ComponentKind::Controller => {
            board.icon(12.0, 13.0, 16.0, icon, color);
            board.name(34.0, 21.5, Align2::LEFT_CENTER, title(label), width - 40.0);
            board.text(
                12.0,
                42.0,
                Align2::LEFT_CENTER,
                &words.lines[0],
                mono,
                theme.t2,
            );
            if let Some(bar) = words.bar {
                board.bar(12.0, 55.0, width - 24.0, 4.0, bar, color);
            }
        }
        ComponentKind::Database => {
            board.icon(12.0, 23.0, 16.0, icon, color);
            board.name(35.0, 31.5, Align2::LEFT_CENTER, title(label), width - 42.0);
            board.text(
                12.0,
                54.0,
                Align2::LEFT_CENTER,
                &words.lines[0],
                mono.clone(),
                theme.t2,
            );
            board.text(
                12.0,
                71.0,
                Align2::LEFT_CENTER,
                &words.lines[1],
                mono,
                theme.t2,
            );
        }
        ComponentKind::Queue
        | ComponentKind::Delay
        | ComponentKind::Worker
        | ComponentKind::Smtp
        | ComponentKind::Websocket
        | ComponentKind::External => inside_back(board, component, node),
    }
}

/// Queues, workers and what they deliver to.
fn inside_back(board: &Board, component: &Component, node: &Node) {
    let theme = board.theme;
    let words = &node.words;
    let color = theme.component_mark(component.kind);
    let icon = icons::Icon::of_component(component.kind);
    let (width, label) = (board.size.x, component.label.as_str());
    let small = text::regular(size::TEXT_LABEL);
    match component.kind {
        ComponentKind::Queue | ComponentKind::Delay => {
            board.icon(16.0, 10.0, 16.0, icon, color);
            board.name(39.0, 18.5, Align2::LEFT_CENTER, title(label), width - 66.0);
            let number = if words.is_hot {
                theme.error_text
            } else {
                theme.t1
            };
            figure(board, 16.0, 42.0, words.number.as_deref(), number);
            board.text(
                width - 24.0,
                43.0,
                Align2::RIGHT_CENTER,
                &words.side,
                small,
                theme.t2,
            );
            let fill = if words.is_hot {
                theme.badge_fill(Badge::Error)
            } else {
                theme.component_fill(component.kind)
            };
            if let Some(bar) = words.bar {
                board.bar(16.0, 56.0, width - 40.0, 5.0, bar, fill);
            }
        }
        ComponentKind::Worker => {
            board.icon(16.0, 12.0, 16.0, icon, color);
            board.name(38.0, 20.5, Align2::LEFT_CENTER, title(label), width - 46.0);
            figure(board, 16.0, 44.0, words.number.as_deref(), theme.t1);
            board.text(
                width - 16.0,
                45.0,
                Align2::RIGHT_CENTER,
                &words.side,
                small,
                theme.t2,
            );
            if let Some(bar) = words.bar {
                board.bar(16.0, 58.0, width - 32.0, 5.0, bar, color);
            }
            slots(board, words.slots, color);
        }
        _ => {
            let mono = text::mono(size::TEXT_LABEL);
            board.icon(12.0, 13.0, 16.0, icon, color);
            board.name(33.0, 21.5, Align2::LEFT_CENTER, title(label), width - 40.0);
            let first = if node.status == Status::Error {
                theme.error_text
            } else {
                theme.t2
            };
            board.text(
                12.0,
                44.0,
                Align2::LEFT_CENTER,
                &words.lines[0],
                mono.clone(),
                first,
            );
            board.text(
                12.0,
                62.0,
                Align2::LEFT_CENTER,
                &words.lines[1],
                mono,
                theme.t2,
            );
        }
    }
}

fn figure(board: &Board, x: f32, y: f32, number: Option<&str>, color: Color32) {
    let font = text::mono_semibold(size::TEXT_NUMBER);
    board.text(
        x,
        y,
        Align2::LEFT_CENTER,
        number.unwrap_or("–"),
        font,
        color,
    );
}

fn shares(board: &Board, shares: &[f32]) {
    let color = board.theme.component_mark(ComponentKind::Server);
    let room = board.size.x - 40.0;
    let mut x = 19.0;
    for share in shares {
        let width = (room * share - 2.5).max(2.0);
        board.painter.rect_filled(
            board.rect(x, 77.0, width, 5.0),
            2.5 * board.zoom,
            mixed(color, 0.9, board.theme.bg2),
        );
        x += room * share;
    }
}

fn slots(board: &Board, slots: Option<(u32, u32)>, color: Color32) {
    let Some((count, busy)) = slots.filter(|slots| slots.0 > 0) else {
        return;
    };
    #[expect(clippy::cast_precision_loss, reason = "at most twelve slots")]
    let step = (board.size.x - 32.0) / count as f32;
    for slot in 0..count {
        #[expect(clippy::cast_precision_loss, reason = "at most twelve slots")]
        let rect = board.rect(16.0 + slot as f32 * step, 72.0, step - 3.0, 8.0);
        let (fill, line) = if slot < busy {
            let fill = mixed(color, 0.85, board.theme.bg2);
            (fill, fill)
        } else {
            (Color32::TRANSPARENT, board.theme.line2)
        };
        board.painter.rect(
            rect,
            2.0 * board.zoom,
            fill,
            Stroke::new(1.2 * board.zoom, line),
            egui::StrokeKind::Inside,
        );
    }
}

fn status(board: &Board, kind: ComponentKind, status: Status, turn: f32) {
    if kind == ComponentKind::Clients {
        return;
    }
    let (from_right, y) = match kind {
        ComponentKind::Balancer => (15.0, 1.0),
        ComponentKind::Worker => (15.0, -1.0),
        ComponentKind::Database => (12.0, 5.0),
        ComponentKind::Server | ComponentKind::Middleware | ComponentKind::Controller => (8.0, 1.0),
        ComponentKind::Queue
        | ComponentKind::Delay
        | ComponentKind::Smtp
        | ComponentKind::Websocket
        | ComponentKind::External
        | ComponentKind::Clients => (12.0, 1.0),
    };
    let center = board.at(board.size.x - from_right, y);
    // A compact node is small; its status keeps a size that can be told apart.
    let scale = board.zoom.max(0.75);
    board
        .painter
        .circle_filled(center, 12.0 * scale, board.theme.bg0);
    let badge = match status {
        Status::Idle => Badge::Idle,
        Status::Processing => Badge::Processing,
        Status::Waiting => Badge::Waiting,
        Status::Error => Badge::Error,
        Status::Offline => Badge::Offline,
    };
    marks::draw_badge(board.painter, center, 9.5 * scale, badge, turn, board.theme);
}

/// Numbers of the selected request's visits, at the top left corner; at most the last four.
fn visits(board: &Board, node: &Node) {
    let theme = board.theme;
    let first = node.visits.len().saturating_sub(4);
    let mut x = 6.0;
    for (number, is_here) in &node.visits[first..] {
        let center = board.at(x, 0.0);
        let radius = 8.5 * board.zoom;
        board
            .painter
            .circle_filled(center, 9.5 * board.zoom, theme.bg0);
        let color = if *is_here {
            board.painter.circle_filled(center, radius, theme.selection);
            theme.bg0
        } else {
            board.painter.circle_filled(center, radius, theme.bg1);
            dashed_ring(board, center, radius);
            theme.t1
        };
        let font = text::mono_semibold(11.0 * board.zoom);
        board.painter.text(
            center + pos2(0.0, 0.3).to_vec2(),
            Align2::CENTER_CENTER,
            number.to_string(),
            font,
            color,
        );
        x += 19.0;
    }
}

fn dashed_ring(board: &Board, center: Pos2, radius: f32) {
    let points: Vec<Pos2> = (0..=32_u8)
        .map(|step| {
            let angle = f32::from(step) / 32.0 * std::f32::consts::TAU;
            center + vec2(angle.cos(), angle.sin()) * radius
        })
        .collect();
    board.painter.extend(Shape::dashed_line(
        &points,
        Stroke::new(1.3 * board.zoom, board.theme.t2),
        3.0 * board.zoom,
        2.5 * board.zoom,
    ));
}
