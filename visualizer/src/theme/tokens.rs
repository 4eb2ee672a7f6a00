//! Colour tokens, dark and light, in the standard and the distinct palette.
//!
//! Belongs here: every colour of the program. Does not belong here: sizes, shapes.

use crate::view::{PaletteChoice, Status, ThemeChoice};
use egui::Color32;
use flowreel_engine::model::topology::ComponentKind;

/// A status as it is drawn: ring, disc and glyph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Badge {
    /// Nothing to do.
    Idle,
    /// At work.
    Processing,
    /// Holds jobs that wait.
    Waiting,
    /// Over a limit or failing.
    Error,
    /// Not reachable, or switched off.
    Offline,
    /// All is well; only in the header.
    Healthy,
}

impl Badge {
    /// Every badge, in the order of the legend.
    pub const ALL: [Self; 6] = [
        Self::Idle,
        Self::Processing,
        Self::Waiting,
        Self::Error,
        Self::Offline,
        Self::Healthy,
    ];

    /// The word for people.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Idle => "Idle",
            Self::Processing => "Processing",
            Self::Waiting => "Waiting",
            Self::Error => "Error",
            Self::Offline => "Offline",
            Self::Healthy => "Healthy",
        }
    }
}

impl From<Status> for Badge {
    fn from(status: Status) -> Self {
        match status {
            Status::Idle => Self::Idle,
            Status::Processing => Self::Processing,
            Status::Waiting => Self::Waiting,
            Status::Error => Self::Error,
            Status::Offline => Self::Offline,
        }
    }
}

/// What a moving request is; drawn as a token of its own shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flow {
    /// Not yet on a channel: a ring.
    Plain,
    /// E-mail: a disc.
    Email,
    /// On the client's socket: a diamond.
    InApp,
    /// Second and later attempts: a triangle.
    Retry,
    /// Gone wrong: a cross.
    Failed,
}

impl Flow {
    /// The flows of the legend, in its order.
    pub const LEGEND: [Self; 4] = [Self::Email, Self::InApp, Self::Retry, Self::Failed];

    /// The word for people.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Plain => "Request",
            Self::Email => "Email",
            Self::InApp => "In-app",
            Self::Retry => "Retry",
            Self::Failed => "Failed",
        }
    }
}

/// Chrome colours of one theme, and the data colours of one palette.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Theme {
    /// Which theme these belong to.
    pub mode: ThemeChoice,
    /// Which palette fills the marks.
    pub palette: PaletteChoice,
    /// Graph canvas, inputs.
    pub bg0: Color32,
    /// Panels, top bar, timeline.
    pub bg1: Color32,
    /// Nodes.
    pub bg2: Color32,
    /// Active row, bar track, hover.
    pub bg3: Color32,
    /// Channel lanes behind the graph.
    pub lane: Color32,
    /// Dividers.
    pub line: Color32,
    /// Outlines.
    pub line2: Color32,
    /// Graph edges.
    pub edge: Color32,
    /// Main text.
    pub t1: Color32,
    /// Second text.
    pub t2: Color32,
    /// Labels.
    pub t3: Color32,
    /// Selected path, ring, playhead.
    pub selection: Color32,
    /// Wide band under the selected path.
    pub selection_halo: Color32,
    /// Text that reports something good.
    pub ok_text: Color32,
    /// Text that warns.
    pub warn_text: Color32,
    /// Text that reports an error.
    pub error_text: Color32,
    /// Outline of a token, so that it stands off the edge below it.
    pub token_edge: Color32,
}

/// The tokens of a theme in a palette.
#[must_use]
pub fn theme(mode: ThemeChoice, palette: PaletteChoice) -> &'static Theme {
    static THEMES: [Theme; 4] = [
        Theme::new(ThemeChoice::Dark, PaletteChoice::Standard),
        Theme::new(ThemeChoice::Dark, PaletteChoice::Distinct),
        Theme::new(ThemeChoice::Light, PaletteChoice::Standard),
        Theme::new(ThemeChoice::Light, PaletteChoice::Distinct),
    ];
    let first = usize::from(mode == ThemeChoice::Light) * 2;
    &THEMES[first + usize::from(palette == PaletteChoice::Distinct)]
}

const INK: Color32 = hex(0x0B_0F17);
const WHITE: Color32 = hex(0xFF_FFFF);

impl Theme {
    const fn new(mode: ThemeChoice, palette: PaletteChoice) -> Self {
        match mode {
            ThemeChoice::Dark => Self {
                mode,
                palette,
                bg0: hex(0x0B_0F17),
                bg1: hex(0x13_1A26),
                bg2: hex(0x1B_2433),
                bg3: hex(0x24_3044),
                lane: hex(0x0F_1520),
                line: hex(0x22_2D40),
                line2: hex(0x34_435D),
                edge: hex(0x3A_4964),
                t1: hex(0xED_F2FA),
                t2: hex(0xB6_C2D6),
                t3: hex(0x8F_9DB5),
                selection: WHITE,
                selection_halo: premultiplied(33, 33, 33, 33),
                ok_text: hex(0x6E_E7B7),
                warn_text: hex(0xFD_E047),
                error_text: hex(0xFC_A5A5),
                token_edge: INK,
            },
            ThemeChoice::Light => Self {
                mode,
                palette,
                bg0: hex(0xF3_F5F9),
                bg1: WHITE,
                bg2: WHITE,
                bg3: hex(0xE8_EDF4),
                lane: hex(0xEB_EFF5),
                line: hex(0xDC_E3EC),
                line2: hex(0xB4_C0D0),
                edge: hex(0xA3_B1C4),
                t1: hex(0x0F_1826),
                t2: hex(0x37_465C),
                t3: hex(0x56_657C),
                selection: hex(0x0F_1826),
                selection_halo: premultiplied(2, 3, 5, 31),
                ok_text: hex(0x04_7857),
                warn_text: hex(0x85_4D0E),
                error_text: hex(0xB9_1C1C),
                token_edge: WHITE,
            },
        }
    }

    /// True for the dark theme.
    #[must_use]
    pub const fn is_dark(&self) -> bool {
        matches!(self.mode, ThemeChoice::Dark)
    }

    const fn by_mode(&self, dark: u32, light: u32) -> Color32 {
        hex(if self.is_dark() { dark } else { light })
    }

    const fn is_standard(&self) -> bool {
        matches!(self.palette, PaletteChoice::Standard)
    }

    /// Bars and other filled marks of a component.
    #[must_use]
    pub const fn component_fill(&self, kind: ComponentKind) -> Color32 {
        if !self.is_standard() {
            return self.component_mark(kind);
        }
        hex(match kind {
            ComponentKind::Balancer => 0x8B_5CF6,
            ComponentKind::Server | ComponentKind::Middleware | ComponentKind::Controller => {
                0x06_B6D4
            }
            ComponentKind::Database => 0xEC_4899,
            ComponentKind::Queue | ComponentKind::Delay => 0xF9_7316,
            ComponentKind::Worker => 0x84_CC16,
            ComponentKind::Clients
            | ComponentKind::Smtp
            | ComponentKind::Websocket
            | ComponentKind::External => 0x64_748B,
        })
    }

    /// Icons and thin lines of a component: at least 3:1 on a node.
    #[must_use]
    pub const fn component_mark(&self, kind: ComponentKind) -> Color32 {
        match kind {
            ComponentKind::Balancer => self.by_mode(0x8B_5CF6, 0x6D_28D9),
            ComponentKind::Server | ComponentKind::Middleware | ComponentKind::Controller => {
                self.by_mode(0x67_E8F9, 0x0E_7490)
            }
            ComponentKind::Database => {
                if self.is_standard() {
                    self.by_mode(0xEC_4899, 0xBE_185D)
                } else {
                    self.by_mode(0xDB_2777, 0xBE_185D)
                }
            }
            ComponentKind::Queue | ComponentKind::Delay => self.by_mode(0xFB_923C, 0xC2_410C),
            ComponentKind::Worker => self.by_mode(0xD9_F99D, 0x4D_7C0F),
            ComponentKind::Clients
            | ComponentKind::Smtp
            | ComponentKind::Websocket
            | ComponentKind::External => self.by_mode(0x94_A3B8, 0x47_5569),
        }
    }

    /// Ring and disc of a status.
    #[must_use]
    pub const fn badge_fill(&self, badge: Badge) -> Color32 {
        if self.is_standard() {
            return match badge {
                Badge::Idle => hex(0x6B_7280),
                Badge::Processing => hex(0x3B_82F6),
                Badge::Waiting => hex(0xF5_9E0B),
                Badge::Error => hex(0xEF_4444),
                Badge::Offline => self.by_mode(0x9C_A3AF, 0x6B_7280),
                Badge::Healthy => hex(0x10_B981),
            };
        }
        match badge {
            Badge::Idle | Badge::Healthy => self.by_mode(0xA7_F3D0, 0x04_7857),
            Badge::Processing => hex(0x25_63EB),
            Badge::Waiting => self.by_mode(0xFD_E047, 0xA1_6207),
            Badge::Error => self.by_mode(0xEF_4444, 0xDC_2626),
            Badge::Offline => self.by_mode(0x9C_A3AF, 0x6B_7280),
        }
    }

    /// The glyph on a status disc: ink or white, whichever can be seen.
    #[must_use]
    pub const fn badge_glyph(&self, badge: Badge) -> Color32 {
        match (badge, self.is_standard()) {
            (Badge::Processing, _) | (Badge::Idle, true) => WHITE,
            // These fills are as bright in the light theme as in the dark one.
            (Badge::Waiting | Badge::Healthy, true) => INK,
            _ if self.is_dark() => INK,
            _ => WHITE,
        }
    }

    /// Filled tokens and bars of a flow.
    #[must_use]
    pub const fn flow_fill(&self, flow: Flow) -> Color32 {
        if !self.is_standard() {
            return self.flow_mark(flow);
        }
        match flow {
            Flow::Plain => self.t2,
            Flow::Email => hex(0x3B_82F6),
            // On white these two need the darker values to be seen at 3:1.
            Flow::InApp => self.by_mode(0x10_B981, 0x04_7857),
            Flow::Retry => self.by_mode(0xF5_9E0B, 0xB4_5309),
            Flow::Failed => hex(0xEF_4444),
        }
    }

    /// Thin marks of a flow (crosses, sparklines): at least 3:1 on a panel.
    #[must_use]
    pub const fn flow_mark(&self, flow: Flow) -> Color32 {
        match flow {
            Flow::Plain => self.t2,
            Flow::Email => self.by_mode(0x60_A5FA, 0x25_63EB),
            Flow::InApp => self.by_mode(0x34_D399, 0x04_7857),
            Flow::Retry => self.by_mode(0xFB_BF24, 0xB4_5309),
            Flow::Failed => self.by_mode(0xF8_7171, 0xDC_2626),
        }
    }

    /// Hatching that means waiting.
    #[must_use]
    pub const fn waiting_hatch(&self) -> Color32 {
        self.by_mode(0xFD_E047, 0xA1_6207)
    }
}

/// `fraction` of `color` laid over `ground`, as one opaque colour.
///
/// Use it wherever the ground is known: the window blends in linear light, where a translucent
/// colour comes out darker on a light ground than the tokens mean.
#[must_use]
pub fn mixed(color: Color32, fraction: f32, ground: Color32) -> Color32 {
    ground.lerp_to_gamma(color, fraction)
}

/// `fraction` of `color` over whatever is below.
#[must_use]
pub fn faded(color: Color32, fraction: f32) -> Color32 {
    color.gamma_multiply(fraction)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where colours are written"
)]
const fn hex(rgb: u32) -> Color32 {
    Color32::from_rgb(
        (rgb >> 16 & 0xFF) as u8,
        (rgb >> 8 & 0xFF) as u8,
        (rgb & 0xFF) as u8,
    )
}

const fn premultiplied(r: u8, g: u8, b: u8, a: u8) -> Color32 {
    Color32::from_rgba_premultiplied(r, g, b, a)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn luminance(color: Color32) -> f64 {
        let part = |value: u8| {
            let v = f64::from(value) / 255.0;
            if v <= 0.039_28 {
                v / 12.92
            } else {
                ((v + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * part(color.r()) + 0.7152 * part(color.g()) + 0.0722 * part(color.b())
    }

    fn contrast(a: Color32, b: Color32) -> f64 {
        let (x, y) = (luminance(a), luminance(b));
        (x.max(y) + 0.05) / (x.min(y) + 0.05)
    }

    fn every_theme() -> impl Iterator<Item = Theme> {
        [ThemeChoice::Dark, ThemeChoice::Light]
            .into_iter()
            .flat_map(|mode| {
                [PaletteChoice::Standard, PaletteChoice::Distinct]
                    .map(|palette| *theme(mode, palette))
            })
    }

    #[test]
    fn all_text_reads_on_every_surface_at_four_and_a_half_to_one() {
        for t in every_theme() {
            for surface in [t.bg0, t.bg1, t.bg2, t.bg3, t.lane] {
                for text in [t.t1, t.t2, t.t3, t.ok_text, t.warn_text, t.error_text] {
                    let ratio = contrast(text, surface);
                    assert!(
                        ratio >= 4.5,
                        "{:?} {text:?} on {surface:?}: {ratio}",
                        t.mode
                    );
                }
            }
            // The primary button swaps text and ground.
            assert!(contrast(t.t1, t.bg1) >= 4.5);
        }
    }

    #[test]
    fn thin_marks_stand_out_at_three_to_one() {
        for t in every_theme() {
            for surface in [t.bg0, t.bg1] {
                for flow in Flow::LEGEND {
                    for color in [t.flow_mark(flow), t.flow_fill(flow)] {
                        let ratio = contrast(color, surface);
                        assert!(ratio >= 3.0, "{:?} {flow:?}: {ratio}", t.mode);
                    }
                }
                for &kind in ComponentKind::ALL {
                    let ratio = contrast(t.component_mark(kind), surface);
                    assert!(ratio >= 3.0, "{:?} {kind:?}: {ratio}", t.mode);
                }
            }
        }
    }

    #[test]
    fn a_mixed_colour_is_opaque_and_lies_between_its_parts() {
        for t in every_theme() {
            let color = mixed(t.t1, 0.5, t.bg1);
            assert_eq!(color.a(), 255);
            let (low, high) = (t.t1.g().min(t.bg1.g()), t.t1.g().max(t.bg1.g()));
            assert!((low..=high).contains(&color.g()));
            assert_eq!(mixed(t.t1, 0.0, t.bg1), t.bg1);
            assert_eq!(mixed(t.t1, 1.0, t.bg1), t.t1);
        }
    }

    #[test]
    fn each_badge_glyph_can_be_seen_on_its_disc() {
        for t in every_theme() {
            for badge in Badge::ALL {
                let ratio = contrast(t.badge_glyph(badge), t.badge_fill(badge));
                assert!(
                    ratio >= 3.0,
                    "{:?} {:?} {badge:?}: {ratio}",
                    t.mode,
                    t.palette
                );
            }
        }
    }

    #[test]
    fn the_standard_palette_is_the_required_one() {
        let t = theme(ThemeChoice::Dark, PaletteChoice::Standard);
        let required = [
            (t.component_fill(ComponentKind::Balancer), 0x8B5CF6),
            (t.component_fill(ComponentKind::Server), 0x06B6D4),
            (t.component_fill(ComponentKind::Database), 0xEC4899),
            (t.component_fill(ComponentKind::Queue), 0xF97316),
            (t.component_fill(ComponentKind::Worker), 0x84CC16),
            (t.component_fill(ComponentKind::Smtp), 0x64748B),
            (t.badge_fill(Badge::Healthy), 0x10B981),
            (t.badge_fill(Badge::Processing), 0x3B82F6),
            (t.badge_fill(Badge::Waiting), 0xF59E0B),
            (t.badge_fill(Badge::Error), 0xEF4444),
            (t.badge_fill(Badge::Idle), 0x6B7280),
            (t.flow_fill(Flow::Email), 0x3B82F6),
            (t.flow_fill(Flow::InApp), 0x10B981),
            (t.flow_fill(Flow::Retry), 0xF59E0B),
            (t.flow_fill(Flow::Failed), 0xEF4444),
        ];
        for (color, rgb) in required {
            assert_eq!(color, hex(rgb));
        }
    }
}
