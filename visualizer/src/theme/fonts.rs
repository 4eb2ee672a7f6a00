//! The two bundled faces: Inter for words, JetBrains Mono for numbers, ids and keys.
//!
//! Belongs here: font files and families. Does not belong here: sizes.

use egui::{FontData, FontDefinitions, FontFamily};
use std::sync::Arc;

pub(super) const MEDIUM: &str = "inter-medium";
pub(super) const SEMIBOLD: &str = "inter-semibold";
pub(super) const MONO_SEMIBOLD: &str = "mono-semibold";

const FACES: [(&str, &[u8]); 5] = [
    (
        "inter",
        include_bytes!("../../assets/fonts/Inter-Regular.otf"),
    ),
    (
        MEDIUM,
        include_bytes!("../../assets/fonts/Inter-Medium.otf"),
    ),
    (
        SEMIBOLD,
        include_bytes!("../../assets/fonts/Inter-SemiBold.otf"),
    ),
    (
        "mono",
        include_bytes!("../../assets/fonts/JetBrainsMono-Regular.ttf"),
    ),
    (
        MONO_SEMIBOLD,
        include_bytes!("../../assets/fonts/JetBrainsMono-SemiBold.ttf"),
    ),
];

/// Every family the program uses; each falls back to the other face for signs it lacks.
#[must_use]
pub fn font_definitions() -> FontDefinitions {
    let mut fonts = FontDefinitions::empty();
    for (name, bytes) in FACES {
        fonts
            .font_data
            .insert(name.to_owned(), Arc::new(FontData::from_static(bytes)));
    }
    let family = |first: &str, second: &str| vec![first.to_owned(), second.to_owned()];
    fonts
        .families
        .insert(FontFamily::Proportional, family("inter", "mono"));
    fonts
        .families
        .insert(FontFamily::Monospace, family("mono", "inter"));
    for (name, fallback) in [
        (MEDIUM, "mono"),
        (SEMIBOLD, "mono"),
        (MONO_SEMIBOLD, SEMIBOLD),
    ] {
        fonts
            .families
            .insert(FontFamily::Name(name.into()), family(name, fallback));
    }
    fonts
}
