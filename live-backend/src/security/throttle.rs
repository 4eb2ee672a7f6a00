//! Throttling of guesses: a few per account, more per address, then one at a time.
//!
//! Belongs here: counting, waiting times, bounds. Does not belong here: what a guess is (controllers).
//!
//! Each account and each address has a bucket of tries that fills up again with time (a token bucket, kept
//! as the one moment at which it is full again). Only failures take from it. Nothing of what was tried is
//! kept: accounts are known by a keyed hash. After a restart everybody starts afresh.

use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Failures an account may have at once, and the time after which one more is forgiven.
const ACCOUNT: Rule = Rule {
    burst: 10,
    forgive_ms: 60_000,
};
/// The same for an address, which many people may share.
const ADDRESS: Rule = Rule {
    burst: 300,
    forgive_ms: 1_000,
};
/// Buckets kept; past it those that are full again go, then the ones nearest to it.
const BUCKETS_MAX: usize = 50_000;

struct Rule {
    burst: u64,
    forgive_ms: u64,
}

/// Who tries; made once per request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tryer {
    account: u64,
    address: u64,
}

/// All buckets.
pub(crate) struct Throttle {
    /// Without it nobody finds two accounts that share a bucket.
    key: [u8; 16],
    /// When each is full again, in milliseconds.
    full_at_ms: Mutex<HashMap<u64, u64>>,
}

impl Throttle {
    pub(crate) fn new() -> Self {
        let mut key = [0_u8; 16];
        getrandom::fill(&mut key).expect("the operating system hands out random bytes");
        Self {
            key,
            full_at_ms: Mutex::new(HashMap::new()),
        }
    }

    /// The account is named by its address of e-mail, whether it exists or not.
    pub(crate) fn tryer(&self, account: &str, address: IpAddr) -> Tryer {
        Tryer {
            account: self.id(b"account", account.as_bytes()),
            address: self.id(b"address", &network(address)),
        }
    }

    /// # Errors
    /// The seconds to wait, where the account or the address has no try left.
    pub(crate) fn check(&self, tryer: Tryer, now_ms: u64) -> Result<(), u64> {
        let full_at_ms = self.full_at_ms();
        let wait_ms = [(tryer.account, &ACCOUNT), (tryer.address, &ADDRESS)]
            .into_iter()
            .map(|(id, rule)| wait_ms(full_at_ms.get(&id).copied(), rule, now_ms))
            .max()
            .unwrap_or(0);
        if wait_ms == 0 {
            Ok(())
        } else {
            Err(wait_ms.div_ceil(1000))
        }
    }

    /// A guess was wrong.
    pub(crate) fn failed(&self, tryer: Tryer, now_ms: u64) {
        let mut full_at_ms = self.full_at_ms();
        make_room(&mut full_at_ms, now_ms);
        for (id, rule) in [(tryer.account, &ACCOUNT), (tryer.address, &ADDRESS)] {
            let full_at = full_at_ms.entry(id).or_insert(now_ms);
            *full_at = (*full_at).max(now_ms).saturating_add(rule.forgive_ms);
        }
    }

    /// The account's owner was here; the address keeps its count, or one known password would free it.
    pub(crate) fn succeeded(&self, tryer: Tryer) {
        self.full_at_ms().remove(&tryer.account);
    }

    fn id(&self, kind: &[u8], value: &[u8]) -> u64 {
        let mut hash = Sha256::new();
        for part in [&self.key, kind, value] {
            hash.update(part);
        }
        let digest = hash.finalize();
        let mut first = [0_u8; 8];
        first.copy_from_slice(&digest[..8]);
        u64::from_le_bytes(first)
    }

    fn full_at_ms(&self) -> MutexGuard<'_, HashMap<u64, u64>> {
        self.full_at_ms
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// An address of IPv6 is one of very many its owner has, so its network counts.
fn network(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets()[..8].to_vec(),
    }
}

/// How long until one try is there.
fn wait_ms(full_at_ms: Option<u64>, rule: &Rule, now_ms: u64) -> u64 {
    let missing_ms = full_at_ms.map_or(0, |full_at| full_at.saturating_sub(now_ms));
    let allowed_ms = (rule.burst - 1) * rule.forgive_ms;
    missing_ms.saturating_sub(allowed_ms)
}

fn make_room(full_at_ms: &mut HashMap<u64, u64>, now_ms: u64) {
    if full_at_ms.len() + 2 <= BUCKETS_MAX {
        return;
    }
    full_at_ms.retain(|_id, full_at| *full_at > now_ms);
    if full_at_ms.len() + 2 <= BUCKETS_MAX {
        return;
    }
    // Half go, the ones with the fewest failures, so that this is rare and guessers stay known.
    let mut moments: Vec<u64> = full_at_ms.values().copied().collect();
    let middle = moments.len() / 2;
    let (_less, median, _more) = moments.select_nth_unstable(middle);
    let median = *median;
    let mut left = middle;
    full_at_ms.retain(|_id, full_at| {
        let goes = *full_at <= median && left > 0;
        left -= usize::from(goes);
        !goes
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn an_account_has_so_many_tries_and_then_one_at_a_time() {
        let throttle = Throttle::new();
        let ada = throttle.tryer("ada@example.org", HERE);
        for _ in 0..ACCOUNT.burst {
            assert_eq!(throttle.check(ada, 1000), Ok(()));
            throttle.failed(ada, 1000);
        }
        assert_eq!(throttle.check(ada, 1000), Err(60));
        let bob = throttle.tryer("bob@example.org", HERE);
        assert_eq!(throttle.check(bob, 1000), Ok(()));
        assert_eq!(throttle.check(ada, 60_999), Err(1));
        assert_eq!(throttle.check(ada, 61_000), Ok(()));
        throttle.failed(ada, 61_000);
        assert_eq!(throttle.check(ada, 61_000), Err(60));
        throttle.succeeded(ada);
        assert_eq!(throttle.check(ada, 61_000), Ok(()));
    }

    #[test]
    fn an_address_that_guesses_at_many_accounts_is_stopped() {
        let throttle = Throttle::new();
        for number in 0..ADDRESS.burst {
            let tryer = throttle.tryer(&format!("{number}@example.org"), HERE);
            assert_eq!(throttle.check(tryer, 0), Ok(()));
            throttle.failed(tryer, 0);
        }
        let next = throttle.tryer("next@example.org", HERE);
        assert_eq!(throttle.check(next, 0), Err(1));
        throttle.succeeded(next);
        assert!(throttle.check(next, 0).is_err());
        let elsewhere = throttle.tryer("next@example.org", IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)));
        assert_eq!(throttle.check(elsewhere, 0), Ok(()));
    }

    #[test]
    fn one_network_of_ipv6_is_one_address() {
        let throttle = Throttle::new();
        let at = |text: &str| throttle.tryer("a", text.parse().unwrap());
        assert_eq!(at("2001:db8::1"), at("2001:db8::2"));
        assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
        assert_eq!(at("::ffff:10.0.0.1"), at("10.0.0.1"));
    }

    #[test]
    fn memory_is_bounded_and_hard_guessers_stay_known() {
        let throttle = Throttle::new();
        let hard = throttle.tryer("hard@example.org", HERE);
        for _ in 0..ACCOUNT.burst {
            throttle.failed(hard, 0);
        }
        for number in 0..2 * BUCKETS_MAX {
            let bytes = u32::try_from(number).unwrap();
            let address = IpAddr::V4(Ipv4Addr::from(bytes));
            throttle.failed(throttle.tryer(&number.to_string(), address), 0);
            assert!(throttle.full_at_ms().len() <= BUCKETS_MAX);
        }
        assert!(throttle.check(hard, 0).is_err());
    }
}
