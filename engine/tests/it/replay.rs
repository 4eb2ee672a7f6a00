//! Moving through a reel: seek equals fold, back and forth returns to the same state.

use crate::reel::reel;
use flowreel_engine::kernel::Kernel;
use flowreel_engine::model::state::SystemState;
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::recording::ReelReader;
use flowreel_engine::replay::{Playhead, Via};
use flowreel_engine::scenario::load;

/// Numbers that look random and are the same in each run.
fn draws() -> impl FnMut(u64) -> u64 {
    let mut state = 0x1234_5678_9abc_def1_u64;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    }
}

fn playhead(bytes: &[u8]) -> Playhead {
    Playhead::new(ReelReader::from_bytes(bytes.to_vec()).expect("sound")).expect("sound")
}

#[test]
fn seek_and_fold_agree_at_any_moment() {
    let (bytes, events) = reel(2700, 4000);
    let end = events.last().unwrap().t_ns.0;
    let mut draw = draws();
    let mut seeking = playhead(&bytes);
    assert!(seeking.reader().keyframe_blocks().len() >= 2);
    for turn in 0..100 {
        let t = TimeNs(draw(end + end / 10));
        seeking.seek(t, Via::Seek).unwrap();
        let mut folding = playhead(&bytes);
        folding.seek(t, Via::Fold).unwrap();
        let expected = events.partition_point(|event| event.t_ns <= t) as u64;
        assert_eq!(folding.state().event_count(), expected, "turn {turn}");
        assert_eq!(
            seeking.state().state_hash(),
            folding.state().state_hash(),
            "turn {turn} at {t}"
        );
        assert_eq!(seeking.position(), expected);
    }
}

#[test]
fn forward_then_back_returns_to_the_same_state() {
    let (bytes, events) = reel(600, 700);
    let mut playhead = playhead(&bytes);
    for start in [0, 1, 699, 700, 701, 9_999, 40_000, events.len() as u64 - 40] {
        playhead.go_to(start, Via::Seek).unwrap();
        let hash = playhead.state().state_hash();
        let mut hashes = Vec::new();
        for offset in 0..40 {
            hashes.push(playhead.state().state_hash());
            let event = playhead.step().unwrap().unwrap();
            assert_eq!(event, events[usize::try_from(start).unwrap() + offset]);
        }
        while let Some(expected) = hashes.pop() {
            playhead.step_back().unwrap().unwrap();
            assert_eq!(playhead.state().state_hash(), expected);
        }
        assert_eq!(playhead.state().state_hash(), hash);
    }
    playhead.go_to(1, Via::Seek).unwrap();
    assert_eq!(playhead.step_back().unwrap(), Some(events[0]));
    assert_eq!(playhead.step_back().unwrap(), None);
    playhead.seek(TimeNs::MAX, Via::Seek).unwrap();
    assert_eq!(playhead.step().unwrap(), None);
    assert_eq!(playhead.step_back().unwrap(), events.last().copied());
}

#[test]
fn seek_and_fold_agree_around_holes() {
    let (bytes, events) = reel(1800, 4000);
    let whole = ReelReader::from_bytes(bytes.clone()).unwrap();
    let blocks = whole.event_blocks().to_vec();
    let mut damaged = bytes;
    // One payload before the first keyframe, one header and one payload further on.
    for (index, into) in [(2, 500), (blocks.len() / 2, 20), (blocks.len() - 2, 400)] {
        let at = usize::try_from(blocks[index].offset + into).unwrap();
        damaged[at] ^= 2;
    }
    let end = events.last().unwrap().t_ns.0;
    let mut draw = draws();
    let mut moments: Vec<u64> = (0..60).map(|_| draw(end)).collect();
    moments.extend(blocks.iter().flat_map(|b| [b.first_t_ns, b.last_t_ns]));
    moments.extend(whole.keyframe_blocks().iter().map(|block| block.last_t_ns));
    let mut seeking = playhead(&damaged);
    for t in moments {
        seeking.seek(TimeNs(t), Via::Seek).unwrap();
        let mut folding = playhead(&damaged);
        folding.seek(TimeNs(t), Via::Fold).unwrap();
        assert_eq!(
            seeking.state().state_hash(),
            folding.state().state_hash(),
            "at {t}"
        );
    }
    seeking.seek(TimeNs::MAX, Via::Seek).unwrap();
    assert_eq!(seeking.reader().gaps().len(), 3);
}

#[test]
fn the_folded_state_is_the_one_the_run_had() {
    let (bytes, events) = reel(60, 100);
    let mut state = SystemState::new(&load(crate::reel::NOTIFICATION, &[]).unwrap().topology);
    events.iter().for_each(|event| state.apply(event));
    let mut playhead = playhead(&bytes);
    playhead.seek(TimeNs::MAX, Via::Fold).unwrap();
    assert_eq!(playhead.state().state_hash(), state.state_hash());
    let scenario = load(crate::reel::NOTIFICATION, &["duration=60s".to_owned()]).unwrap();
    let report = Kernel::new(&scenario, 7)
        .unwrap()
        .run(&mut flowreel_engine::kernel::EventSink(|_: &_| {}))
        .unwrap();
    assert_eq!(playhead.state().run_hash(), report.run_hash);
}
