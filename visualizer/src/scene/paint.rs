//! Draws a picture with egui's painter.
//!
//! Belongs here: the order of layers, strokes, colours from the theme. Does not belong here: what
//! is drawn where (picture.rs, layout.rs).

mod node;

use super::camera::Lens;
use super::layout::Layout;
use super::picture::{Picture, Token};
use super::route::Route;
use crate::reel::hops::Carried;
use crate::theme::{Flow, Theme, faded, marks, mixed, size, text};
use egui::{Align2, Color32, CornerRadius, Painter, Pos2, Rect, Shape, Stroke, vec2};
use flowreel_engine::model::topology::{EdgeKind, Topology};

/// What is drawn and how.
#[derive(Clone, Copy, Debug)]
pub struct Brush<'a> {
    /// The map.
    pub topology: &'a Topology,
    /// Positions.
    pub layout: &'a Layout,
    /// What is drawn where.
    pub picture: &'a Picture,
    /// World to screen.
    pub lens: Lens,
    /// Colours.
    pub theme: &'a Theme,
    /// How far rings of work have turned, 0 to 1.
    pub turn: f32,
}

/// Names of small things are hidden below this zoom.
const NAMES_FROM: f32 = 0.45;

/// Draws the graph into the painter's clip rectangle.
pub fn paint(painter: &Painter, brush: Brush) {
    lanes(painter, brush);
    edges(painter, brush);
    streams(painter, brush);
    path(painter, brush);
    heads(painter, brush);
    for token in brush
        .picture
        .tokens
        .iter()
        .filter(|token| !token.is_selected)
    {
        trail(painter, brush, token);
    }
    for token in brush
        .picture
        .tokens
        .iter()
        .filter(|token| !token.is_selected)
    {
        self::token(painter, brush, token);
    }
    for index in 0..brush.topology.components.len() {
        node::paint(painter, brush, index);
    }
    for token in brush
        .picture
        .tokens
        .iter()
        .filter(|token| token.is_selected)
    {
        selected(painter, brush, token);
    }
}

fn lanes(painter: &Painter, brush: Brush) {
    let theme = brush.theme;
    let zoom = brush.lens.zoom;
    for lane in &brush.layout.lanes {
        let rect = brush.lens.screen_rect(lane.rect);
        let radius = CornerRadius::from(12.0 * zoom);
        painter.rect_filled(rect, radius, mixed(theme.lane, 0.8, theme.bg0));
        if zoom >= NAMES_FROM {
            painter.text(
                rect.right_bottom() - vec2(12.0, 7.0) * zoom,
                Align2::RIGHT_BOTTOM,
                &lane.title,
                text::medium(size::TEXT_LABEL * zoom),
                theme.t3,
            );
        }
    }
    if zoom < NAMES_FROM {
        return;
    }
    for (x, title) in &brush.layout.headings {
        let at = brush
            .lens
            .screen_from_world(Pos2::new(*x, brush.layout.bounds.top() + 14.0));
        painter.text(
            at,
            Align2::CENTER_CENTER,
            title,
            text::medium(size::TEXT_LABEL * zoom),
            theme.t3,
        );
    }
}

fn on_screen(brush: Brush, points: &[Pos2]) -> Vec<Pos2> {
    points
        .iter()
        .map(|point| brush.lens.screen_from_world(*point))
        .collect()
}

fn edges(painter: &Painter, brush: Brush) {
    let zoom = brush.lens.zoom;
    let stroke = Stroke::new(size::STROKE_EDGE * zoom.max(0.6), brush.theme.edge);
    for (edge, route) in brush.topology.edges.iter().zip(&brush.layout.routes) {
        let points = on_screen(brush, &route.line);
        match edge.kind {
            EdgeKind::Main => {
                painter.add(Shape::line(points, stroke));
            }
            EdgeKind::Failure => {
                painter.extend(Shape::dashed_line(&points, stroke, 5.0 * zoom, 5.0 * zoom));
            }
            EdgeKind::Retry => {
                painter.extend(Shape::dashed_line(&points, stroke, 2.0 * zoom, 4.0 * zoom));
            }
        }
    }
}

fn streams(painter: &Painter, brush: Brush) {
    let zoom = brush.lens.zoom;
    for stream in &brush.picture.streams {
        let Some(route) = brush.layout.routes.get(stream.edge) else {
            continue;
        };
        let color = brush.theme.flow_fill(flow(stream.carried));
        let points = on_screen(brush, &route.line);
        painter.add(Shape::line(
            points.clone(),
            Stroke::new(stream.width * zoom, faded(color, 0.2)),
        ));
        painter.extend(Shape::dashed_line_with_offset(
            &points,
            Stroke::new((stream.width * 0.3).max(1.8) * zoom, faded(color, 0.75)),
            &[10.0 * zoom],
            &[7.0 * zoom],
            stream.phase * 17.0 * zoom,
        ));
        if zoom >= NAMES_FROM {
            let at = brush.lens.screen_from_world(route.at(0.5)) + vec2(12.0, -12.0) * zoom;
            marks::draw_token_flat(painter, at, 4.5 * zoom, flow(stream.carried), brush.theme);
            painter.text(
                at + vec2(9.0, 0.0) * zoom,
                Align2::LEFT_CENTER,
                format!("{:.1}/s", stream.rate_per_s),
                text::mono(size::TEXT_LABEL * zoom),
                brush.theme.t1,
            );
        }
    }
}

/// The selected way: halo, then the line itself.
fn path(painter: &Painter, brush: Brush) {
    let zoom = brush.lens.zoom;
    let parts: Vec<Vec<Pos2>> = brush
        .picture
        .path
        .iter()
        .filter_map(|(edge, share)| Some((brush.layout.routes.get(*edge)?, *share)))
        .map(|(route, share)| on_screen(brush, &route.part(share)))
        .filter(|points| points.len() > 1)
        .collect();
    let strokes = [
        (size::STROKE_HALO, brush.theme.selection_halo),
        (size::STROKE_PATH, brush.theme.selection),
    ];
    for (width, color) in strokes {
        for points in &parts {
            painter.add(Shape::line(
                points.clone(),
                Stroke::new(width * zoom, color),
            ));
        }
    }
}

/// Arrow heads, one per point of arrival; those of the selected way on top.
fn heads(painter: &Painter, brush: Brush) {
    let is_on_path = |index: usize| {
        brush
            .picture
            .path
            .iter()
            .any(|(edge, share)| *edge == index && *share >= 1.0)
    };
    for pass in [false, true] {
        for (index, route) in brush.layout.routes.iter().enumerate() {
            if is_on_path(index) == pass {
                let color = if pass {
                    brush.theme.selection
                } else {
                    brush.theme.edge
                };
                head(painter, brush, route, color);
            }
        }
    }
}

fn head(painter: &Painter, brush: Brush, route: &Route, color: Color32) {
    let [.., before, tip] = route.points.as_slice() else {
        return;
    };
    let zoom = brush.lens.zoom;
    let ahead = (*tip - *before).normalized();
    let side = vec2(-ahead.y, ahead.x);
    let tip = brush.lens.screen_from_world(*tip) - ahead * zoom;
    let back = tip - ahead * 6.0 * zoom;
    painter.add(Shape::convex_polygon(
        vec![tip, back + side * 4.0 * zoom, back - side * 4.0 * zoom],
        color,
        Stroke::NONE,
    ));
}

/// The theme's name for what a token carries.
#[must_use]
pub const fn flow(carried: Carried) -> Flow {
    match carried {
        Carried::Plain => Flow::Plain,
        Carried::Email => Flow::Email,
        Carried::InApp => Flow::InApp,
        Carried::Retry => Flow::Retry,
        Carried::Failed => Flow::Failed,
    }
}

fn trail(painter: &Painter, brush: Brush, token: &Token) {
    let zoom = brush.lens.zoom;
    let color = brush.theme.flow_fill(flow(token.carried));
    for (step, point) in (1_u8..).zip(&token.trail) {
        let step = f32::from(step);
        painter.circle_filled(
            brush.lens.screen_from_world(*point),
            (3.6 - step * 0.7) * zoom,
            faded(color, (0.5 - step * 0.13) * token.opacity),
        );
    }
}

fn token(painter: &Painter, brush: Brush, token: &Token) {
    let theme = brush.theme;
    let at = brush.lens.screen_from_world(token.at);
    let kind = flow(token.carried);
    painter.extend(marks::token_shapes(
        at,
        token.radius * brush.lens.zoom,
        kind,
        faded(theme.flow_fill(kind), token.opacity),
        theme.token_edge,
    ));
}

/// The selected request: halo, ring, token, and its name on a leader below.
fn selected(painter: &Painter, brush: Brush, token: &Token) {
    let theme = brush.theme;
    let zoom = brush.lens.zoom;
    let at = brush.lens.screen_from_world(token.at);
    painter.circle_filled(at, 11.0 * zoom, theme.bg0);
    painter.circle_filled(at, 14.0 * zoom, theme.selection_halo);
    painter.circle_stroke(at, 11.0 * zoom, Stroke::new(2.0 * zoom, theme.selection));
    self::token(painter, brush, token);
    let name = format!("r-{}", token.request.0);
    let end = at + vec2(0.0, 44.0) * zoom;
    painter.line_segment(
        [at + vec2(0.0, 13.0) * zoom, end],
        Stroke::new(1.0, theme.t2),
    );
    let galley = painter.layout_no_wrap(name, text::mono(size::TEXT_LABEL * zoom), theme.t1);
    let place = Rect::from_center_size(
        end + vec2(0.0, galley.size().y / 2.0 + 2.0),
        galley.size() + vec2(8.0, 2.0),
    );
    painter.rect_filled(place, 3.0, theme.bg0);
    painter.galley(place.center() - galley.size() / 2.0, galley, theme.t1);
}
