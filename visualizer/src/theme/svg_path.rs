//! SVG path data to polylines, so that icons are drawn by the painter and stay crisp at any size.
//!
//! Belongs here: reading `M L H V C S Q A Z`, absolute and relative, and flattening curves.
//! Does not belong here: strokes, colours, which icon exists.

use egui::{Pos2, Vec2, pos2, vec2};

/// One stretch of a path without a jump.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Subpath {
    /// Corners, curves already flattened.
    pub points: Vec<Pos2>,
    /// Ends where it began.
    pub is_closed: bool,
}

const CURVE_STEPS: u16 = 10;

/// Reads path data; what it cannot read ends the path there.
///
/// The data are our own constants, so a test reads each of them instead of every caller.
#[must_use]
pub fn flatten(data: &str) -> Vec<Subpath> {
    Reader::new(data).read()
}

struct Reader<'a> {
    rest: &'a [u8],
    subpaths: Vec<Subpath>,
    at: Pos2,
    start: Pos2,
    control: Pos2,
}

impl<'a> Reader<'a> {
    fn new(data: &'a str) -> Self {
        Self {
            rest: data.as_bytes(),
            subpaths: Vec::new(),
            at: Pos2::ZERO,
            start: Pos2::ZERO,
            control: Pos2::ZERO,
        }
    }

    fn skip_separators(&mut self) {
        while let [b' ' | b',' | b'\n', tail @ ..] = self.rest {
            self.rest = tail;
        }
    }

    fn number(&mut self) -> Option<f32> {
        self.skip_separators();
        let mut length = 0;
        let mut seen_dot = false;
        for (index, byte) in self.rest.iter().enumerate() {
            match byte {
                b'0'..=b'9' => {}
                b'-' | b'+' if index == 0 => {}
                b'.' if !seen_dot => seen_dot = true,
                _ => break,
            }
            length = index + 1;
        }
        let (digits, tail) = self.rest.split_at(length);
        let value = std::str::from_utf8(digits).ok()?.parse().ok()?;
        self.rest = tail;
        Some(value)
    }

    fn point(&mut self, is_relative: bool) -> Option<Pos2> {
        let offset = vec2(self.number()?, self.number()?);
        Some(if is_relative {
            self.at + offset
        } else {
            offset.to_pos2()
        })
    }

    fn line_to(&mut self, to: Pos2) {
        if let Some(subpath) = self.subpaths.last_mut() {
            subpath.points.push(to);
        }
        self.at = to;
        self.control = to;
    }

    fn move_to(&mut self, to: Pos2) {
        self.subpaths.push(Subpath::default());
        self.start = to;
        self.line_to(to);
    }

    fn curve_to(&mut self, first: Pos2, second: Pos2, to: Pos2) {
        let from = self.at;
        for step in 1..=CURVE_STEPS {
            let t = f32::from(step) / f32::from(CURVE_STEPS);
            let u = 1.0 - t;
            let at = from.to_vec2() * (u * u * u)
                + first.to_vec2() * (3.0 * u * u * t)
                + second.to_vec2() * (3.0 * u * t * t)
                + to.to_vec2() * (t * t * t);
            self.line_to(at.to_pos2());
        }
        self.control = second;
    }

    /// Arc with both radii along the axes (SVG 1.1, appendix F.6, without rotation).
    fn arc_to(&mut self, radii: Vec2, [is_large, is_sweep]: [bool; 2], to: Pos2) {
        let from = self.at;
        let half = (from - to) / 2.0;
        let mut r = vec2(radii.x.abs(), radii.y.abs());
        if r.x == 0.0 || r.y == 0.0 {
            return self.line_to(to);
        }
        let unit = vec2(half.x / r.x, half.y / r.y);
        let scale = unit.length();
        if scale > 1.0 {
            r *= scale;
        }
        let unit = vec2(half.x / r.x, half.y / r.y);
        let squared = unit.length_sq();
        let reach = if squared > 0.0 {
            ((1.0 - squared).max(0.0) / squared).sqrt()
        } else {
            return;
        };
        let sign = if is_large == is_sweep { -1.0 } else { 1.0 };
        let offset = vec2(unit.y, -unit.x) * reach * sign;
        let middle = from + (to - from) / 2.0;
        let center = middle + vec2(offset.x * r.x, offset.y * r.y);
        let begin = (unit - offset).angle();
        let mut sweep = (-unit - offset).angle() - begin;
        if is_sweep && sweep < 0.0 {
            sweep += std::f32::consts::TAU;
        } else if !is_sweep && sweep > 0.0 {
            sweep -= std::f32::consts::TAU;
        }
        let steps = 2 * CURVE_STEPS;
        for step in 1..steps {
            let angle = begin + sweep * f32::from(step) / f32::from(steps);
            self.line_to(center + vec2(angle.cos() * r.x, angle.sin() * r.y));
        }
        self.line_to(to);
    }

    fn read(mut self) -> Vec<Subpath> {
        let mut command = b'M';
        loop {
            self.skip_separators();
            match self.rest {
                [] => break,
                [letter, tail @ ..] if letter.is_ascii_alphabetic() => {
                    command = *letter;
                    self.rest = tail;
                }
                _ => {}
            }
            if self.segment(command).is_none() {
                break;
            }
            // Pairs that follow a move are lines.
            command = match command {
                b'M' => b'L',
                b'm' => b'l',
                other => other,
            };
        }
        self.subpaths
    }

    fn segment(&mut self, command: u8) -> Option<()> {
        let is_relative = command.is_ascii_lowercase();
        match command.to_ascii_uppercase() {
            b'M' => {
                let to = self.point(is_relative)?;
                self.move_to(to);
            }
            b'L' => {
                let to = self.point(is_relative)?;
                self.line_to(to);
            }
            b'H' => {
                let x = self.number()? + if is_relative { self.at.x } else { 0.0 };
                self.line_to(pos2(x, self.at.y));
            }
            b'V' => {
                let y = self.number()? + if is_relative { self.at.y } else { 0.0 };
                self.line_to(pos2(self.at.x, y));
            }
            b'C' => {
                let (first, second) = (self.point(is_relative)?, self.point(is_relative)?);
                let to = self.point(is_relative)?;
                self.curve_to(first, second, to);
            }
            b'S' => {
                let first = self.at + (self.at - self.control);
                let second = self.point(is_relative)?;
                let to = self.point(is_relative)?;
                self.curve_to(first, second, to);
            }
            b'Q' => {
                let control = self.point(is_relative)?;
                let to = self.point(is_relative)?;
                let first = self.at + (control - self.at) * (2.0 / 3.0);
                let second = to + (control - to) * (2.0 / 3.0);
                self.curve_to(first, second, to);
            }
            b'A' => {
                let radii = vec2(self.number()?, self.number()?);
                let _rotation = self.number()?;
                let flags = [self.number()? != 0.0, self.number()? != 0.0];
                let to = self.point(is_relative)?;
                self.arc_to(radii, flags, to);
            }
            b'Z' => {
                let start = self.start;
                if let Some(subpath) = self.subpaths.last_mut() {
                    subpath.is_closed = true;
                    if subpath.points.len() > 1 && subpath.points.last() == Some(&start) {
                        subpath.points.pop();
                    }
                }
                self.at = start;
                self.control = start;
            }
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_absolute_and_relative() {
        let path = flatten("M1 2H4v3l-1-.5Z");
        assert_eq!(path.len(), 1);
        assert!(path[0].is_closed);
        assert_eq!(
            path[0].points,
            [pos2(1., 2.), pos2(4., 2.), pos2(4., 5.), pos2(3., 4.5)]
        );
    }

    #[test]
    fn a_circle_of_two_arcs_keeps_its_radius() {
        for data in [
            "M8 13a5 5 0 1 0 0-10 5 5 0 0 0 0 10Z",
            "M8 3A5 5 0 1 1 8 13A5 5 0 0 1 8 3Z",
        ] {
            let points = flatten(data).remove(0).points;
            assert!(points.len() > 20);
            for point in points {
                assert!(
                    (point.distance(pos2(8., 8.)) - 5.0).abs() < 0.01,
                    "{point:?}"
                );
            }
        }
    }

    #[test]
    fn curves_end_where_they_say() {
        let points = flatten("M0 0C0 10 10 10 10 0S20-10 20 0q5 5 10 0")
            .remove(0)
            .points;
        assert_eq!(points.last(), Some(&pos2(30., 0.)));
    }
}
