//! Which part of the world the graph's rectangle shows.
//!
//! Belongs here: screen from world and back, fit, zoom, pan. Does not belong here: keys, drawing.

use egui::{Pos2, Rect, Vec2};

/// Smallest and largest zoom.
pub const ZOOM: std::ops::RangeInclusive<f32> = 0.25..=4.0;

/// What the viewer has set; nothing means "all of it".
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Camera {
    /// World point in the middle and zoom; `None` fits everything, whatever the window's size.
    held: Option<(Pos2, f32)>,
}

/// World to screen for one frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lens {
    /// Screen points per world unit.
    pub zoom: f32,
    offset: Vec2,
}

impl Lens {
    /// Screen position of a world point.
    #[must_use]
    pub fn screen_from_world(&self, point: Pos2) -> Pos2 {
        (point.to_vec2() * self.zoom + self.offset).to_pos2()
    }

    /// World position of a screen point.
    #[must_use]
    pub fn world_from_screen(&self, point: Pos2) -> Pos2 {
        ((point.to_vec2() - self.offset) / self.zoom).to_pos2()
    }

    /// Screen rectangle of a world rectangle.
    #[must_use]
    pub fn screen_rect(&self, rect: Rect) -> Rect {
        Rect::from_min_max(
            self.screen_from_world(rect.min),
            self.screen_from_world(rect.max),
        )
    }
}

impl Camera {
    /// The lens for a graph of these bounds in this rectangle.
    #[must_use]
    pub fn lens(&self, bounds: Rect, rect: Rect) -> Lens {
        let (middle, zoom) = self.held.unwrap_or_else(|| fit(bounds, rect));
        // Whole points keep straight lines crisp.
        let offset = (rect.center() - middle.to_vec2() * zoom).to_vec2().round();
        Lens { zoom, offset }
    }

    /// Shows everything.
    pub fn fit_all(&mut self) {
        self.held = None;
    }

    /// Shows this part of the world with room around it.
    pub fn fit_to(&mut self, part: Rect, rect: Rect) {
        let (middle, zoom) = fit(part.expand(60.0), rect);
        self.held = Some((middle, zoom.min(1.6)));
    }

    /// Zooms by `factor` and keeps the world point under `pointer` where it is.
    pub fn zoom_at(&mut self, factor: f32, pointer: Pos2, bounds: Rect, rect: Rect) {
        let lens = self.lens(bounds, rect);
        let fixed = lens.world_from_screen(pointer);
        let zoom = (lens.zoom * factor).clamp(*ZOOM.start(), *ZOOM.end());
        let middle = fixed + (rect.center() - pointer) / zoom;
        self.held = Some((middle, zoom));
    }

    /// Moves the world with the pointer.
    pub fn pan(&mut self, by: Vec2, bounds: Rect, rect: Rect) {
        let lens = self.lens(bounds, rect);
        let middle = lens.world_from_screen(rect.center()) - by / lens.zoom;
        self.held = Some((middle, lens.zoom));
    }

    /// Moves just enough that the point lies inside the middle 60 %.
    pub fn keep_in_view(&mut self, point: Pos2, bounds: Rect, rect: Rect) {
        let lens = self.lens(bounds, rect);
        let inner = rect.scale_from_center(0.6);
        let at = lens.screen_from_world(point);
        let by = inner.clamp(at) - at;
        // A graph that fits needs no camera that follows.
        if self.held.is_some() && by.length() > 0.5 {
            self.pan(by, bounds, rect);
        }
    }
}

fn fit(bounds: Rect, rect: Rect) -> (Pos2, f32) {
    if bounds.width() <= 0.0 || bounds.height() <= 0.0 {
        return (Pos2::ZERO, 1.0);
    }
    let zoom = f32::min(
        rect.width() / bounds.width(),
        rect.height() / bounds.height(),
    );
    (bounds.center(), zoom.clamp(*ZOOM.start(), 1.25))
}

#[cfg(test)]
mod tests {
    use super::*;
    use egui::{pos2, vec2};

    #[test]
    fn zooming_keeps_the_point_under_the_pointer_and_stays_in_range() {
        let bounds = Rect::from_min_size(Pos2::ZERO, vec2(1000.0, 600.0));
        let rect = Rect::from_min_size(pos2(200.0, 100.0), vec2(800.0, 500.0));
        let mut camera = Camera::default();
        let pointer = pos2(420.0, 310.0);
        let before = camera.lens(bounds, rect).world_from_screen(pointer);
        camera.zoom_at(1.7, pointer, bounds, rect);
        let after = camera.lens(bounds, rect).world_from_screen(pointer);
        assert!(before.distance(after) < 1.0, "{before:?} {after:?}");
        for _ in 0..40 {
            camera.zoom_at(2.0, pointer, bounds, rect);
        }
        assert!((camera.lens(bounds, rect).zoom - 4.0).abs() < f32::EPSILON);
        for _ in 0..40 {
            camera.zoom_at(0.5, pointer, bounds, rect);
        }
        assert!((camera.lens(bounds, rect).zoom - 0.25).abs() < f32::EPSILON);
    }
}
