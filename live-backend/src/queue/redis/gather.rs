//! Asks that come at the same moment, answered by one call.
//!
//! Belongs here: collecting asks, who serves them. Does not belong here: what is asked, the call.
//!
//! Whoever asks while nobody serves starts the one that serves; what is asked while its call is under way
//! goes with the next call. So a lone ask waits for nobody, and many share the way to Redis.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use tokio::sync::oneshot;

/// Asks of one kind.
pub(super) struct Gather<A, T> {
    state: Mutex<State<A, T>>,
}

struct State<A, T> {
    asks: VecDeque<Ask<A, T>>,
    is_served: bool,
}

/// One ask and the way back to whoever asked.
pub(super) struct Ask<A, T> {
    pub(super) what: A,
    pub(super) answer: oneshot::Sender<T>,
}

impl<A, T> Default for Gather<A, T> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                asks: VecDeque::new(),
                is_served: false,
            }),
        }
    }
}

impl<A, T> Gather<A, T> {
    /// The answer to come, and whether the caller must have it served.
    pub(super) fn ask(&self, what: A) -> (oneshot::Receiver<T>, bool) {
        let (answer, answered) = oneshot::channel();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.asks.push_back(Ask { what, answer });
        (answered, !std::mem::replace(&mut state.is_served, true))
    }

    /// The next asks, oldest first; where there are none the next one to ask has it served.
    pub(super) fn next(&self, most: usize) -> Option<Vec<Ask<A, T>>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let count = state.asks.len().min(most);
        state.is_served = count > 0;
        state.is_served.then(|| state.asks.drain(..count).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_serves_all_that_ask_meanwhile() {
        let gather = Gather::<u8, u8>::default();
        let (mut first, must_serve) = gather.ask(1);
        assert!(must_serve);
        let (mut second, must_serve) = gather.ask(2);
        assert!(!must_serve);
        let (_third, must_serve) = gather.ask(3);
        assert!(!must_serve);
        let asks = gather.next(2).unwrap();
        for ask in asks {
            ask.answer.send(ask.what * 10).unwrap();
        }
        assert_eq!(first.try_recv(), Ok(10));
        assert_eq!(second.try_recv(), Ok(20));
        assert_eq!(gather.next(2).unwrap().len(), 1);
        assert!(!gather.ask(4).1);
        assert_eq!(gather.next(2).unwrap().len(), 1);
        assert!(gather.next(2).is_none());
        assert!(gather.ask(5).1);
    }
}
