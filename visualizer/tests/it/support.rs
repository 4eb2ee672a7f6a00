//! What several topics need: a run of the shipped scenario.
//!
//! Belongs here: opening inputs. Does not belong here: checks.

use flowreel_visualizer::session::Session;
use flowreel_visualizer::source::Input;
use flowreel_visualizer::view::Settings;

/// The scenario that ships.
pub(crate) fn scenario() -> String {
    format!(
        "{}/../scenarios/notification.toml",
        env!("CARGO_MANIFEST_DIR")
    )
}

/// The whole run of the scenario that ships, at its start, paused.
pub(crate) fn session() -> Session {
    let mut session = Session::new(Vec::new(), Settings::default());
    session.open(&Input::parse(&scenario()));
    session.ingest_all().expect("the shipped scenario runs");
    session.act(
        flowreel_visualizer::view::Action::Pause,
        egui::Rect::NOTHING,
    );
    session
}
