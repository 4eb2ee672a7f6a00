//! The panels as a person uses them: found by their words, pressed, dragged and typed into.
//!
//! Belongs here: which action each widget answers with. Does not belong here: pictures.

mod sample;

use crate::view::{
    Action, Direction, Filter, Motion, RequestResult, Screen, Selection, Settings, ThemeChoice,
};
use egui::accesskit::Role;
use egui::{Event, PointerButton, Pos2, pos2};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use flowreel_engine::model::id::{ClassId, ComponentId, RequestId};
use flowreel_engine::model::time::{NS_PER_S, TimeNs};
use flowreel_engine::model::topology::Channel;
use sample::Sample;
use std::path::PathBuf;

/// What the window holds and what its widgets have asked for.
struct Window {
    sample: Sample,
    is_installed: bool,
    actions: Vec<Action>,
}

fn open(sample: Sample) -> Harness<'static, Window> {
    let window = Window {
        sample,
        is_installed: false,
        actions: Vec::new(),
    };
    let mut harness = Harness::builder()
        .with_size(egui::vec2(1600.0, 1000.0))
        .build_ui_state(
            |ui, window: &mut Window| {
                let view = window.sample.view();
                if !window.is_installed {
                    // Fonts are there from the next frame on.
                    crate::theme::install(ui.ctx(), super::theme_of(&view));
                    window.is_installed = true;
                    return;
                }
                if let Some(rect) = crate::screens::show(ui, &view, &mut window.actions) {
                    super::overlay_ui(ui, rect, &view, &mut window.actions);
                }
            },
            window,
        );
    harness.run_steps(3);
    harness
}

/// Presses what is called so and answers with what it asked for.
fn press(harness: &mut Harness<'static, Window>, name: &str) -> Vec<Action> {
    harness.state_mut().actions.clear();
    harness.get_by_label(name).click();
    harness.run_steps(3);
    std::mem::take(&mut harness.state_mut().actions)
}

fn pointer(harness: &mut Harness<'static, Window>, at: Pos2, is_pressed: Option<bool>) {
    harness.event(Event::PointerMoved(at));
    if let Some(pressed) = is_pressed {
        harness.event(Event::PointerButton {
            pos: at,
            button: PointerButton::Primary,
            pressed,
            modifiers: egui::Modifiers::NONE,
        });
    }
    harness.step();
}

#[test]
fn the_round_button_plays_and_pauses() {
    let mut harness = open(Sample::new());
    assert_eq!(press(&mut harness, "Play"), [Action::Play]);
    harness.state_mut().sample.playback.motion = Motion::Forward;
    harness.run_steps(2);
    assert_eq!(press(&mut harness, "Pause"), [Action::Pause]);
}

#[test]
fn the_transport_steps_and_jumps() {
    let mut harness = open(Sample::new());
    for (name, action) in [
        ("To the start", Action::SeekStart),
        ("Previous event", Action::StepEvent(Direction::Back)),
        ("Next event", Action::StepEvent(Direction::Forward)),
        ("To the end", Action::SeekEnd),
        ("Next error", Action::SeekError(Direction::Forward)),
        ("Bookmark", Action::ToggleBookmark),
        ("Loop in", Action::ToggleLoopIn),
        ("Step mode", Action::SetStepMode(true)),
    ] {
        assert_eq!(press(&mut harness, name), [action], "{name}");
    }
    // Hops belong to a selected request: without one the button is not there to press.
    assert!(press(&mut harness, "Next hop").is_empty());
}

#[test]
fn each_speed_button_sets_its_speed() {
    let mut harness = open(Sample::new());
    for (name, speed) in [
        ("0.25×", 0.25),
        ("0.5×", 0.5),
        ("1×", 1.0),
        ("2×", 2.0),
        ("5×", 5.0),
    ] {
        assert_eq!(press(&mut harness, name), [Action::SetSpeed(speed)]);
    }
}

#[test]
fn dragging_on_the_timeline_seeks_both_ways() {
    let mut harness = open(Sample::new());
    let plot = harness.get_by_label("Timeline").rect();
    let x = |share: f32| pos2(plot.left() + plot.width() * share, plot.center().y);
    pointer(&mut harness, x(0.5), Some(true));
    pointer(&mut harness, x(0.75), None);
    pointer(&mut harness, x(0.25), None);
    pointer(&mut harness, x(0.25), Some(false));
    let seeks: Vec<f64> = harness
        .state()
        .actions
        .iter()
        .map(|action| match action {
            Action::Seek(at) => at.as_s(),
            other => panic!("{other:?}"),
        })
        .collect();
    let has = |wanted: f64| seeks.iter().any(|at| (at - wanted).abs() < 0.2);
    assert!(has(75.0), "{seeks:?}");
    assert!((seeks.last().unwrap() - 25.0).abs() < 0.2, "{seeks:?}");
}

#[test]
fn check_rows_hide_and_reset_shows_again() {
    let mut harness = open(Sample::new());
    let hidden = |change: fn(&mut Filter)| {
        let mut filter = Filter::default();
        change(&mut filter);
        [Action::SetFilter(filter)]
    };
    let row = harness.get_by_role_and_label(Role::CheckBox, "Email");
    row.click();
    harness.run_steps(3);
    assert_eq!(
        std::mem::take(&mut harness.state_mut().actions),
        hidden(|filter| filter.hidden_channels.push(Channel::Email))
    );
    assert_eq!(
        press(&mut harness, "Login"),
        hidden(|filter| filter.hidden_classes.push(ClassId(1)))
    );
    assert_eq!(
        press(&mut harness, "Retried"),
        hidden(|filter| filter.hidden_results.push(RequestResult::Retried))
    );
    assert!(harness.query_by_label("Reset").is_none());
    harness.state_mut().sample.filter.hidden_classes = vec![ClassId(1)];
    harness.run_steps(2);
    assert_eq!(press(&mut harness, "Login"), hidden(|_| ()));
    assert_eq!(press(&mut harness, "Reset"), hidden(|_| ()));
}

#[test]
fn words_typed_into_the_filter_box_become_the_filter() {
    let mut harness = open(Sample::new());
    let text_box = harness.get_by_role(Role::TextInput);
    text_box.focus();
    harness.run_steps(2);
    harness.get_by_role(Role::TextInput).type_text("r-48");
    harness.run_steps(2);
    let wanted = Filter {
        text: "r-48".to_owned(),
        ..Filter::default()
    };
    let actions = &harness.state().actions;
    assert!(actions.contains(&Action::SetFilter(wanted)), "{actions:?}");
}

#[test]
fn a_journey_row_seeks_to_its_arrival() {
    let mut sample = Sample::new();
    sample.selected = Selection::Request(RequestId(7));
    let mut harness = open(sample);
    // The inspector and the timeline's lane name it.
    assert_eq!(harness.query_all_by_label("r-7").count(), 2);
    assert_eq!(
        press(&mut harness, "2 Mail queue, go to 00:12.000"),
        [Action::Seek(TimeNs(12 * NS_PER_S))]
    );
    assert_eq!(
        press(&mut harness, "Follow"),
        [Action::FollowSelection(true)]
    );
    assert_eq!(
        press(&mut harness, "Next hop"),
        [Action::StepHop(Direction::Forward)]
    );
}

#[test]
fn a_component_lists_who_is_there_and_filters_by_it() {
    let mut sample = Sample::new();
    sample.selected = Selection::Component(ComponentId(1));
    let mut harness = open(sample);
    assert_eq!(
        press(&mut harness, "r-7"),
        [Action::Select(Selection::Request(RequestId(7)))]
    );
    let only = Filter {
        component: Some(ComponentId(1)),
        ..Filter::default()
    };
    assert_eq!(
        press(&mut harness, "Show only requests through here"),
        [Action::SetFilter(only)]
    );
}

#[test]
fn nothing_selected_says_what_to_do() {
    let harness = open(Sample::new());
    assert!(
        harness
            .query_by_label("Select a request or a component.")
            .is_some()
    );
}

#[test]
fn an_unknown_number_is_a_dash_and_never_zero() {
    let mut sample = Sample::new();
    sample.metrics.requests_per_s = None;
    sample.metrics.latency_mean_s = None;
    sample.metrics.latency_p95_s = None;
    sample.metrics.error_ratio = None;
    sample.metrics.uptime_s = None;
    let harness = open(sample);
    assert_eq!(harness.query_all_by_label("–").count(), 5);
}

#[test]
fn the_start_screen_opens_attaches_and_sets_the_theme() {
    let mut sample = Sample::new();
    sample.screen = Screen::Welcome;
    let mut harness = open(sample);
    for (name, words) in [
        ("Recording or scenario file", "runs/a.reel"),
        ("Address of a backend", "http://127.0.0.1:8000"),
    ] {
        harness.get_by_label(name).focus();
        harness.run_steps(2);
        harness.get_by_label(name).type_text(words);
        harness.run_steps(2);
    }
    assert_eq!(
        press(&mut harness, "Open file"),
        [Action::Open(PathBuf::from("runs/a.reel"))]
    );
    assert_eq!(
        press(&mut harness, "Attach"),
        [Action::Attach("http://127.0.0.1:8000".to_owned())]
    );
    assert_eq!(
        press(&mut harness, "Light"),
        [Action::SetSettings(Settings {
            theme: ThemeChoice::Light,
            ..Settings::default()
        })]
    );
    assert!(press(&mut harness, "Browse 1 scenario").is_empty());
    assert_eq!(
        press(&mut harness, "notification"),
        [Action::Open(PathBuf::from("scenarios/notification.toml"))]
    );
}
