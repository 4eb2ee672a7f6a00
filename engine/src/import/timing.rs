//! When things happened, on one clock: missing times filled in, skewed clocks shifted.
//!
//! Belongs here: the rules by which times are mended, each counted. Does not belong here: visits (journey).
//!
//! The shift of a child that begins before its parent follows Jaeger's own adjuster: centred in the
//! parent where it is shorter, otherwise begun together with it. A child that only ends after its
//! parent is left alone: that is how asynchronous work looks.

use super::spans::{Span, SpanSet};

/// Start and end in ns since 1970, end never before start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Interval {
    pub(super) start: u64,
    pub(super) end: u64,
}

impl Interval {
    const fn length(self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    const fn shifted(self, by: i128) -> Self {
        Self {
            start: shift(self.start, by),
            end: shift(self.end, by),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the range"
)]
const fn shift(time: u64, by: i128) -> u64 {
    let shifted = time as i128 + by;
    if shifted < 0 {
        0
    } else if shifted > u64::MAX as i128 {
        u64::MAX
    } else {
        shifted as u64
    }
}

/// The interval of every span in `order`, in which parents stand before their children.
///
/// Returns intervals by position in the set (those of other traces stay empty).
pub(super) fn intervals(
    set: &mut SpanSet,
    order: &[usize],
    parents: &[Option<usize>],
    all: &mut [Interval],
) {
    let earliest = order
        .iter()
        .filter_map(|&position| set.spans[position].start_ns)
        .min()
        .unwrap_or(0);
    let mut shifts: Vec<i128> = vec![0; order.len()];
    let mut raw: Vec<Interval> = Vec::with_capacity(order.len());
    let mut skewed = 0;
    // Positions in `order` by position in the set, for the parents that came before.
    let mut places: std::collections::BTreeMap<usize, usize> = std::collections::BTreeMap::new();
    for (place, &position) in order.iter().enumerate() {
        let span = &set.spans[position];
        let parent = parents[position].and_then(|parent| Some((parent, *places.get(&parent)?)));
        let start = span
            .start_ns
            .unwrap_or_else(|| parent.map_or(earliest, |(_, place)| raw[place].start));
        let own = Interval {
            start,
            end: start.saturating_add(span.duration_ns.unwrap_or(0)),
        };
        let by = match parent {
            None => 0,
            Some((parent, place)) => {
                let caller = Clocks {
                    raw: raw[place],
                    shift: shifts[place],
                    mended: all[parent],
                };
                let (by, is_skewed) = shift_of(span, own, &set.spans[parent], caller);
                skewed += u64::from(is_skewed);
                by
            }
        };
        places.insert(position, place);
        raw.push(own);
        shifts[place] = by;
        all[position] = own.shifted(by);
    }
    for &position in order.iter().rev() {
        let end = all[position].end;
        if let Some(parent) = parents[position]
            && set.spans[parent].duration_ns.is_none()
            && places.contains_key(&parent)
        {
            all[parent].end = all[parent].end.max(end);
        }
    }
    let place = order
        .first()
        .map(|&position| set.traces.name(set.spans[position].trace).to_owned());
    set.mended.add(
        "spans began before their caller did and were shifted: clocks of two machines differ",
        skewed,
        || format!("trace {}", place.unwrap_or_default()),
    );
}

/// What is known of a parent's clock.
struct Clocks {
    raw: Interval,
    shift: i128,
    mended: Interval,
}

/// By how much a span is shifted, and whether its clock differs from its parent's.
fn shift_of(span: &Span, own: Interval, parent: &Span, caller: Clocks) -> (i128, bool) {
    if span.service == parent.service || own.start >= caller.raw.start {
        return (caller.shift, false);
    }
    if own.start >= caller.mended.start {
        return (0, false);
    }
    let room = caller.mended.length().saturating_sub(own.length()) / 2;
    let start = i128::from(caller.mended.start) + i128::from(room);
    (start - i128::from(own.start), true)
}

#[cfg(test)]
mod tests {
    use super::super::spans::{Ids, Role};
    use super::*;

    fn span(
        id: &str,
        parent: Option<&str>,
        service: usize,
        start_ns: Option<u64>,
        duration_ns: Option<u64>,
    ) -> Span {
        Span {
            trace: 0,
            id: id.to_owned(),
            parent: parent.map(str::to_owned),
            service,
            operation: String::new(),
            start_ns,
            duration_ns,
            is_error: false,
            role: Role::Internal,
            is_database: false,
            queue: None,
            sends_to: None,
            ids: Ids::OfOneSpan,
        }
    }

    fn check(spans: Vec<Span>, expected: &[(u64, u64)]) {
        let mut set = SpanSet {
            spans,
            ..SpanSet::default()
        };
        let order: Vec<usize> = (0..set.spans.len()).collect();
        let parents = set.parents();
        let mut all = vec![Interval::default(); order.len()];
        intervals(&mut set, &order, &parents, &mut all);
        let found: Vec<(u64, u64)> = all
            .iter()
            .map(|interval| (interval.start, interval.end))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_child_whose_clock_is_behind_is_centred_in_its_parent() {
        let parent = span("a", None, 0, Some(1000), Some(100));
        check(
            vec![parent.clone(), span("b", Some("a"), 1, Some(900), Some(40))],
            &[(1000, 1100), (1030, 1070)],
        );
        check(
            vec![parent, span("b", Some("a"), 1, Some(900), Some(400))],
            &[(1000, 1100), (1000, 1400)],
        );
    }

    #[test]
    fn what_a_shifted_service_calls_is_shifted_with_it() {
        let spans = vec![
            span("a", None, 0, Some(1000), Some(100)),
            span("b", Some("a"), 1, Some(900), Some(40)),
            span("c", Some("b"), 1, Some(910), Some(10)),
        ];
        check(spans, &[(1000, 1100), (1030, 1070), (1040, 1050)]);
    }

    #[test]
    fn missing_times_come_from_parent_and_children() {
        let spans = vec![
            span("a", None, 0, Some(1000), None),
            span("b", Some("a"), 1, None, Some(40)),
            span("c", Some("a"), 1, Some(1050), Some(10)),
        ];
        check(spans, &[(1000, 1060), (1000, 1040), (1050, 1060)]);
    }

    #[test]
    fn work_that_ends_after_its_parent_stays_where_it_is() {
        let spans = vec![
            span("a", None, 0, Some(1000), Some(100)),
            span("b", Some("a"), 1, Some(1090), Some(40)),
        ];
        check(spans, &[(1000, 1100), (1090, 1130)]);
    }
}
