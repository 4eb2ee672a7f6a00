//! The playhead: at T everything is the same, however T was reached.
//!
//! Belongs here: seek, play, reverse over a real run. Does not belong here: widgets.

use crate::support::session;
use egui::Rect;
use flowreel_engine::model::event::Outcome;
use flowreel_engine::model::state::SystemState;
use flowreel_engine::model::time::TimeNs;
use flowreel_visualizer::scene::picture::Picture;
use flowreel_visualizer::session::Session;
use flowreel_visualizer::view::{Action, Direction, Filter, Motion, Selection};

fn seek(session: &mut Session, seconds: f64) -> (String, Picture) {
    let t = flowreel_engine::model::time::ns_from_seconds(seconds).expect("in range");
    session.act(Action::Seek(TimeNs(t)), Rect::NOTHING);
    session.refresh();
    (
        session.player().state().run_hash().to_string(),
        session.picture().clone(),
    )
}

#[test]
fn a_moment_looks_the_same_from_before_from_after_and_from_the_start() {
    let mut session = session();
    let first = session.reel().requests().all()[40].request;
    session.act(Action::Select(Selection::Request(first)), Rect::NOTHING);
    let from_start = seek(&mut session, 200.25);
    seek(&mut session, 555.0);
    let from_after = seek(&mut session, 200.25);
    seek(&mut session, 31.0);
    let from_before = seek(&mut session, 200.25);
    assert_eq!(from_start, from_after);
    assert_eq!(from_start, from_before);
    assert!(!from_start.1.path.is_empty(), "the selected way is drawn");
}

#[test]
fn the_state_at_a_moment_is_the_fold_of_all_events_before_it() {
    let mut session = session();
    let (hash, _) = seek(&mut session, 321.0);
    let reel = session.reel();
    let mut state = SystemState::new(reel.topology());
    for event in reel
        .events()
        .iter()
        .take_while(|e| e.t_ns <= TimeNs(321_000_000_000))
    {
        state.apply(event);
    }
    assert_eq!(hash, state.run_hash().to_string());
    assert_eq!(state.state_hash(), session.player().state().state_hash());
}

#[test]
fn playing_advances_by_wall_time_times_speed_and_stops_at_the_end() {
    let mut session = session();
    session.act(Action::Seek(TimeNs(10_000_000_000)), Rect::NOTHING);
    session.act(Action::SetSpeed(2.0), Rect::NOTHING);
    session.act(Action::Play, Rect::NOTHING);
    session.tick(100_000_000);
    assert_eq!(session.player().now(), TimeNs(10_200_000_000));
    session.act(Action::Shuttle(Direction::Back), Rect::NOTHING);
    session.tick(50_000_000);
    assert_eq!(session.player().now(), TimeNs(10_100_000_000));
    session.act(Action::SeekEnd, Rect::NOTHING);
    session.act(Action::Play, Rect::NOTHING);
    assert_eq!(
        session.player().now(),
        TimeNs::ZERO,
        "from the end it starts over"
    );
    session.act(Action::SeekEnd, Rect::NOTHING);
    session.tick(100_000_000);
    session.refresh();
    assert_eq!(session.view().playback.motion, Motion::Stopped);
}

#[test]
fn tokens_move_along_their_edges_while_a_request_is_on_its_way() {
    let mut session = session();
    let hop = session.reel().hops().all()[200];
    let middle = TimeNs(u64::midpoint(hop.from.0, hop.to.0));
    session.act(Action::Seek(middle), Rect::NOTHING);
    session.refresh();
    let token = session
        .picture()
        .tokens
        .iter()
        .find(|token| token.request == hop.request)
        .expect("a moving request is drawn");
    let route = &session.layout().routes[hop.edge];
    let nearest = route
        .line
        .windows(2)
        .map(|ends| distance(token.at, ends[0], ends[1]))
        .fold(f32::INFINITY, f32::min);
    assert!(nearest < 0.5, "{nearest} from its edge");
    let before = token.at;
    session.act(Action::Seek(TimeNs(middle.0 + 100_000_000)), Rect::NOTHING);
    session.refresh();
    let after = session
        .picture()
        .tokens
        .iter()
        .find(|t| t.request == hop.request);
    assert_ne!(Some(before), after.map(|token| token.at));
}

fn distance(point: egui::Pos2, a: egui::Pos2, b: egui::Pos2) -> f32 {
    let along = b - a;
    let share = if along.length_sq() > 0.0 {
        ((point - a).dot(along) / along.length_sq()).clamp(0.0, 1.0)
    } else {
        0.0
    };
    point.distance(a + along * share)
}

#[test]
fn every_part_is_in_one_place_at_a_time() {
    let session = session();
    let mut free_from = std::collections::HashMap::new();
    for hop in session.reel().hops().all() {
        let before = free_from.insert((hop.request, hop.part), hop.to);
        assert!(before.is_none_or(|before| before <= hop.from), "{hop:?}");
        assert!(
            hop.from >= hop.recorded,
            "nothing is shown before it happened"
        );
    }
}

#[test]
fn what_went_to_the_dead_letters_counts_as_failed() {
    let session = session();
    let reel = session.reel();
    let counts = reel.requests().counts(&Filter::default());
    let dead = reel
        .requests()
        .all()
        .iter()
        .filter(|summary| summary.finished.is_some() && summary.outcome != Outcome::Ok)
        .count();
    assert!(dead > 0, "the shipped run has dead letters");
    assert_eq!(counts.failed, u64::try_from(dead).expect("fits"));
    assert!(counts.retried > 0 && counts.delivered > counts.failed);
    assert_eq!(
        counts.delivered + counts.retried + counts.failed + counts.in_flight,
        counts.total
    );
}
