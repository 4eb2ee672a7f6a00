//! Reels out of reels: whatever is cut, joined or redacted holds, or is refused.
//!
//! Belongs here: promises of `editing` over any reel. Does not belong here: reading (reader).

use super::{reader, seal};
use flowreel_engine::editing::{Choice, Field, Stretch, choose, diverge, merge, redact, slice};
use flowreel_engine::model::id::RequestId;
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::recording::{ReelReader, verify};

/// Takes a byte that chooses what is done, one for each end of a stretch, and a reel, see [`seal::reel`].
pub(crate) fn check(data: &[u8]) {
    let Some(([choice, from, to], rest)) = data.split_first_chunk::<3>() else {
        return;
    };
    let bytes = seal::reel(rest);
    let open = || ReelReader::from_bytes(bytes.clone());
    let Ok(mut first) = open() else {
        return;
    };
    let holds = verify(&first).expect("it could be opened").holds();
    let events = reader::shown(&mut first);
    let moment = |share: u8| {
        let at = events.len() * usize::from(share) / 256;
        events
            .get(at)
            .map_or(TimeNs(u64::from(share)), |event| event.t_ns)
    };
    let stretch = Stretch {
        from: moment(*from),
        to: moment(*to),
    };
    let create = || Ok(Vec::new());
    let made = match choice % 5 {
        0 => slice(first, stretch, create).ok().map(|made| made.0),
        1 => {
            let requests = events
                .get(usize::from(*from))
                .map_or(RequestId(1), |event| event.request);
            let choice = Choice {
                requests: [requests].into(),
                by: None,
                components: Vec::new(),
            };
            let all = Stretch {
                from: TimeNs(0),
                to: TimeNs(u64::MAX),
            };
            choose(first, &choice, all, create).ok().map(|made| made.0)
        }
        2 => merge(2, |_| open(), Vec::new()).ok().map(|made| made.0),
        3 => {
            let fields = [Field::Users, Field::Details, Field::Notes, Field::StartedAt];
            redact(first, &fields, Vec::new()).ok().map(|made| made.0)
        }
        _ => {
            let parted = diverge(first, open().expect("it was opened before"));
            if holds {
                assert!(
                    parted.expect("it could be read").divergence.is_none(),
                    "a reel does not part from itself"
                );
            }
            None
        }
    };
    if let Some(made) = made {
        let made = ReelReader::from_bytes(made).expect("what was made can be opened");
        let checked = verify(&made).expect("memory");
        assert!(
            checked.holds() || !holds,
            "what was made does not hold: {:?}",
            checked.problems
        );
    }
}
