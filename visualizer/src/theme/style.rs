//! The theme as egui style: what stock widgets look like.
//!
//! Belongs here: visuals, spacing, text styles. Does not belong here: our own widgets.

use super::size;
use super::text;
use super::tokens::Theme;
use egui::epaint::FontColorTransferFunction;
use egui::style::{Selection, WidgetVisuals};
use egui::{Color32, Context, CornerRadius, Shadow, Stroke, Style, TextStyle, Visuals, vec2};

/// Installs fonts, sizes and colours: once per context, and again when the theme changes.
pub fn install(context: &Context, theme: &Theme) {
    context.set_fonts(super::font_definitions());
    let style = style(theme);
    context.all_styles_mut(move |target| *target = style.clone());
}

fn style(theme: &Theme) -> Style {
    let mut style = Style {
        visuals: visuals(theme),
        animation_time: 0.08,
        ..Style::default()
    };
    style.text_styles = [
        (TextStyle::Small, text::regular(size::TEXT_LABEL)),
        (TextStyle::Body, text::regular(size::TEXT_BODY)),
        (TextStyle::Button, text::medium(size::TEXT_ROW)),
        (TextStyle::Heading, text::semibold(size::TEXT_TITLE)),
        (TextStyle::Monospace, text::mono(size::TEXT_LABEL)),
    ]
    .into();
    style.spacing.item_spacing = vec2(8.0, 0.0);
    style.spacing.button_padding = vec2(11.0, 6.0);
    style.spacing.interact_size = vec2(24.0, 24.0);
    style.spacing.scroll.floating = true;
    // No gradient anywhere.
    style.spacing.scroll.fade.strength = 0.0;
    style.interaction.selectable_labels = false;
    style.interaction.tooltip_delay = 0.4;
    style.url_in_tooltip = false;
    style
}

fn visuals(theme: &Theme) -> Visuals {
    let mut visuals = if theme.is_dark() {
        Visuals::dark()
    } else {
        Visuals::light()
    };
    let button = CornerRadius::same(7);
    let widget = |fill: Color32, line: Color32, ink: Color32| WidgetVisuals {
        bg_fill: fill,
        weak_bg_fill: fill,
        bg_stroke: Stroke::new(1.0, line),
        corner_radius: button,
        fg_stroke: Stroke::new(1.0, ink),
        expansion: 0.0,
    };
    visuals.widgets.noninteractive = widget(theme.bg1, theme.line, theme.t1);
    visuals.widgets.inactive = widget(theme.bg1, theme.line2, theme.t1);
    visuals.widgets.hovered = widget(theme.bg3, theme.line2, theme.t1);
    visuals.widgets.active = widget(theme.bg3, theme.t2, theme.t1);
    visuals.widgets.open = widget(theme.bg3, theme.line2, theme.t1);
    visuals.override_text_color = Some(theme.t1);
    visuals.weak_text_color = Some(theme.t3);
    visuals.selection = Selection {
        bg_fill: theme.bg3,
        stroke: Stroke::new(1.0, theme.t1),
    };
    visuals.hyperlink_color = theme.t1;
    visuals.warn_fg_color = theme.warn_text;
    visuals.error_fg_color = theme.error_text;
    visuals.extreme_bg_color = theme.bg0;
    visuals.text_edit_bg_color = Some(theme.bg0);
    visuals.code_bg_color = theme.bg0;
    visuals.faint_bg_color = theme.bg3;
    visuals.panel_fill = theme.bg1;
    visuals.window_fill = theme.bg1;
    visuals.window_stroke = Stroke::new(1.0, theme.line2);
    visuals.window_corner_radius = CornerRadius::same(12);
    visuals.menu_corner_radius = button;
    visuals.window_shadow = Shadow::NONE;
    visuals.popup_shadow = Shadow::NONE;
    visuals.resize_corner_size = 0.0;
    visuals.text_cursor.stroke = Stroke::new(1.5, theme.t1);
    // The window blends in linear light, which thins dark text; the steeper curve gives it back.
    visuals.text_options.color_transfer_function = FontColorTransferFunction::DARK_MODE_DEFAULT;
    visuals.button_frame = true;
    visuals.clip_rect_margin = 0.0;
    visuals
}
