//! The ledger: which answer and which notification belong to which request.
//!
//! Belongs here: requests that are not settled yet. Does not belong here: figures (tally.rs).

use super::answer::ActionError;
use super::listen::Heard;
use super::tally::Tally;
use crate::telemetry::Class;
use flowreel_engine::model::time::TimeNs;
use std::collections::HashMap;

/// What a request tells on its way.
#[derive(Debug)]
pub(super) enum Report {
    Sent {
        ticket: u64,
        class: Class,
        intended: TimeNs,
        at: TimeNs,
    },
    Answered {
        ticket: u64,
        at: TimeNs,
        result: Result<(), ActionError>,
    },
}

#[derive(Debug)]
struct Open {
    class: Class,
    intended: TimeNs,
    answered: Option<TimeNs>,
    heard: Option<TimeNs>,
    overtaken_by: Option<TimeNs>,
}

/// Requests in progress, one entry each.
#[derive(Debug)]
pub(super) struct Ledger {
    open: HashMap<u64, Open>,
    begin: TimeNs,
    measured_from: TimeNs,
    tally: Tally,
}

impl Ledger {
    pub(super) fn new(begin: TimeNs, measured_from: TimeNs) -> Self {
        Self {
            open: HashMap::new(),
            begin,
            measured_from,
            tally: Tally::new(),
        }
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    pub(super) fn into_tally(self) -> Tally {
        self.tally
    }

    pub(super) fn take_report(&mut self, report: Report) {
        match report {
            Report::Sent {
                ticket,
                class,
                intended,
                at,
            } => {
                let since_begin_ns = at.since_ns(self.begin);
                self.tally
                    .sent(class, at.since_ns(intended), since_begin_ns);
                self.entry(ticket, class, intended);
            }
            Report::Answered { ticket, at, result } => self.answered(ticket, at, result),
        }
    }

    pub(super) fn take_heard(&mut self, heard: Heard) {
        let open = self.entry(heard.ticket, heard.class, heard.intended);
        open.heard = Some(heard.at);
        open.overtaken_by = heard.overtaken_by;
        if open.answered.is_some() {
            self.settle(heard.ticket);
        }
    }

    /// The two come by different ways, so either may be first.
    fn entry(&mut self, ticket: u64, class: Class, intended: TimeNs) -> &mut Open {
        self.open.entry(ticket).or_insert(Open {
            class,
            intended,
            answered: None,
            heard: None,
            overtaken_by: None,
        })
    }

    fn answered(&mut self, ticket: u64, at: TimeNs, result: Result<(), ActionError>) {
        let Some(open) = self.open.get_mut(&ticket) else {
            return;
        };
        if let Err(error) = result {
            self.tally.failed(open.class, &error);
            self.open.remove(&ticket);
            return;
        }
        open.answered = Some(at);
        let is_expected = !matches!(open.class, Class::Signup | Class::ResetPassword);
        let is_measured = open.intended >= self.measured_from;
        let measured_ns = is_measured.then(|| at.since_ns(open.intended));
        let is_settled = !is_expected || open.heard.is_some();
        self.tally.accepted(open.class, measured_ns, is_expected);
        if is_settled {
            self.settle(ticket);
        }
    }

    fn settle(&mut self, ticket: u64) {
        let Some(open) = self.open.remove(&ticket) else {
            return;
        };
        let (Some(answered), Some(heard)) = (open.answered, open.heard) else {
            return;
        };
        if open.overtaken_by.is_some_and(|sent| answered < sent) {
            self.tally.overtaken();
        }
        self.tally.delivered(
            open.class,
            heard.since_ns(open.intended),
            heard.since_ns(answered),
            open.intended >= self.measured_from,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger() -> Ledger {
        Ledger::new(TimeNs(0), TimeNs(0))
    }

    fn sent(ticket: u64, at: u64) -> Report {
        Report::Sent {
            ticket,
            class: Class::Purchase,
            intended: TimeNs(at),
            at: TimeNs(at),
        }
    }

    fn answered(ticket: u64, at: u64) -> Report {
        Report::Answered {
            ticket,
            at: TimeNs(at),
            result: Ok(()),
        }
    }

    fn heard(ticket: u64, at: u64, overtaken_by: Option<u64>) -> Heard {
        Heard {
            ticket,
            class: Class::Purchase,
            intended: TimeNs(0),
            at: TimeNs(at),
            overtaken_by: overtaken_by.map(TimeNs),
        }
    }

    #[test]
    fn a_request_is_settled_by_its_answer_and_its_notification_in_any_order() {
        let mut ledger = ledger();
        ledger.take_report(sent(1, 10));
        ledger.take_report(answered(1, 20));
        ledger.take_heard(heard(1, 30, None));
        ledger.take_heard(heard(2, 25, None));
        ledger.take_report(sent(2, 12));
        ledger.take_report(answered(2, 40));
        assert_eq!(ledger.tally().expected(), (2, 2));
        assert!(ledger.open.is_empty());
    }

    #[test]
    fn only_a_request_that_was_accepted_first_can_be_overtaken() {
        for (answered_at, count) in [(20, 1), (35, 0)] {
            let mut ledger = ledger();
            ledger.take_report(sent(1, 10));
            ledger.take_report(answered(1, answered_at));
            ledger.take_heard(heard(1, 50, Some(30)));
            assert_eq!(ledger.into_tally().out_of_order(), count, "{answered_at}");
        }
    }
}
