//! A reel at rest: opened, read whole, verified, sought in.
//!
//! Belongs here: what must hold of whatever a reader shows. Does not belong here: bytes that come in order (stream).

use super::seal;
use flowreel_engine::model::event::StageEvent;
use flowreel_engine::model::id::DetailId;
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::recording::{ReelReader, verify};
use flowreel_engine::replay::{Playhead, Via};

/// Details, keyframes and steps that are looked at.
const MANY: usize = 10;

/// Takes a reel, see [`seal::reel`].
pub(crate) fn check(data: &[u8]) {
    let bytes = seal::reel(data);
    let Ok(mut reader) = ReelReader::from_bytes(bytes.clone()) else {
        return;
    };
    let events = shown(&mut reader);
    in_order(&events);
    for event in events
        .iter()
        .filter(|event| event.detail != DetailId::NONE)
        .take(MANY)
    {
        reader.read_detail(event.detail).expect("memory");
    }
    for position in 0..reader.keyframe_blocks().len().min(MANY) {
        if let Some(state) = reader.read_keyframe(position).expect("memory") {
            let again = state.clone();
            assert_eq!(state.status(state.now()), again.status(again.now()));
            assert_eq!(state.state_hash(), again.state_hash());
        }
    }
    drop(reader.read_statistics());
    reader.check_events().expect("memory");
    for pair in reader.gaps().windows(2) {
        assert!(
            pair[0].from_t_ns <= pair[1].from_t_ns,
            "gaps in order of time"
        );
    }
    let checked = verify(&reader).expect("it could be opened");
    if checked.holds() {
        assert_eq!(
            checked.events,
            events.len() as u64,
            "a reel that holds shows its events"
        );
        for (position, event) in events.iter().enumerate().take(MANY) {
            let blocks = reader.blocks_with_request(event.request).expect("memory");
            assert!(
                event.request.0 == 0 || !blocks.is_empty(),
                "event {position} is found by its request"
            );
        }
    }
    seek(&bytes, &events, checked.holds());
}

/// All events that a reader shows.
pub(crate) fn shown(reader: &mut ReelReader) -> Vec<StageEvent> {
    let (mut events, mut batch) = (Vec::new(), Vec::new());
    for position in 0..reader.event_blocks().len() {
        let is_sound = reader.read_events(position, &mut batch).expect("memory");
        assert!(
            is_sound || batch.is_empty(),
            "a damaged block gives no events"
        );
        events.extend_from_slice(&batch);
    }
    events
}

/// No event twice, and time never falls.
pub(crate) fn in_order(events: &[StageEvent]) {
    for pair in events.windows(2) {
        assert!(
            pair[0].seq < pair[1].seq,
            "{} comes before {}",
            pair[0].seq,
            pair[1].seq
        );
        assert!(
            pair[0].t_ns <= pair[1].t_ns,
            "time falls at event {}",
            pair[1].seq
        );
    }
}

/// Every way through the reel can be gone; where the reel holds, all of them lead to the same states.
fn seek(bytes: &[u8], events: &[StageEvent], holds: bool) {
    let open = || {
        let reader = ReelReader::from_bytes(bytes.to_vec()).expect("it was opened before");
        Playhead::new(reader).expect("memory")
    };
    let (mut sought, mut folded) = (open(), open());
    let last = events.last().map_or(0, |event| event.t_ns.0);
    let middle = events.get(events.len() / 2).map_or(0, |event| event.t_ns.0);
    for t in [last, middle, 0, last / 3] {
        sought.seek(TimeNs(t), Via::Seek).expect("memory");
        folded.seek(TimeNs(t), Via::Fold).expect("memory");
        if holds {
            assert_eq!(sought.position(), folded.position(), "at {t}");
            let hashes = (sought.state().state_hash(), folded.state().state_hash());
            assert_eq!(hashes.0, hashes.1, "at {t}");
        }
    }
    sought.seek(TimeNs(last), Via::Seek).expect("memory");
    let before = sought.state().state_hash();
    let mut back = 0;
    while back < MANY && sought.step_back().expect("memory").is_some() {
        back += 1;
    }
    for _ in 0..back {
        let next = sought.step().expect("memory");
        assert!(next.is_some() || !holds, "steps back can be gone again");
    }
    if holds {
        assert_eq!(
            sought.state().state_hash(),
            before,
            "forward again is where it was"
        );
    }
}
