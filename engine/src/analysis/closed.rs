//! Closed networks of product form: a fixed number of users who think, visit stations and think again.
//!
//! Belongs here: the convolution algorithm over numbers. Does not belong here: which scenario is such
//! a network (theory).
//!
//! Mean-value analysis with several servers per station subtracts nearly equal numbers; convolution
//! (Buzen 1973) only adds, here in logarithms so that no population overflows. Both are exact, and the
//! chance to wait is that of the network with one user fewer (arrival theorem).

/// A station visited so often per cycle; `None` servers for a pure delay.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub(super) visits: f64,
    pub(super) mean_s: f64,
    pub(super) servers: Option<u32>,
}

/// What the network does.
#[derive(Clone, Debug)]
pub(super) struct Network {
    /// Cycles per second.
    pub(super) cycles_per_s: f64,
    /// By station: mean number present, and share of visits that find all servers busy.
    pub(super) nodes: Vec<(f64, f64)>,
}

/// Additions of one solution at most; past it theory says nothing rather than taking minutes.
const WORK_MAX: usize = 50_000_000;

/// Solves for this many users; `None` where that would take too long or a demand is no number.
pub(super) fn solve(users: u32, think_s: f64, nodes: &[Node]) -> Option<Network> {
    let users = usize::try_from(users).ok()?;
    let work = users
        .checked_mul(users)?
        .checked_mul(3 * nodes.len().max(1))?;
    if users == 0 || work > WORK_MAX {
        return None;
    }
    let think = Node {
        visits: 1.0,
        mean_s: think_s,
        servers: None,
    };
    let factors: Vec<Vec<f64>> = nodes.iter().map(|node| factors(node, users)).collect();
    // Products of all before, and of all after, each station.
    let mut before = vec![self::factors(&think, users)];
    for factor in &factors {
        let next = convolve(before.last()?, factor);
        before.push(next);
    }
    let whole = before.last()?;
    let cycles_per_s = libm::exp(whole[users - 1] - whole[users]);
    let mut after = vec![f64::NEG_INFINITY; users + 1];
    after[0] = 0.0;
    let mut found = Vec::with_capacity(nodes.len());
    for index in (0..nodes.len()).rev() {
        let others = convolve(&before[index], &after);
        let share = |present: usize, of: usize| {
            libm::exp(factors[index][present] + others[of - present] - whole[of])
        };
        let mut mean = 0.0;
        let mut level = 0.0;
        for present in 0..=users {
            mean += level * share(present, users);
            level += 1.0;
        }
        let p_wait = nodes[index].servers.map_or(0.0, |servers| {
            let servers = usize::try_from(servers).unwrap_or(usize::MAX);
            (servers..users)
                .map(|present| share(present, users - 1))
                .sum()
        });
        found.push((mean, p_wait));
        after = convolve(&after, &factors[index]);
    }
    found.reverse();
    (cycles_per_s.is_finite() && cycles_per_s > 0.0).then_some(Network {
        cycles_per_s,
        nodes: found,
    })
}

/// Logarithms of a station's unnormalised shares by number present.
fn factors(node: &Node, users: usize) -> Vec<f64> {
    let demand = libm::log(node.visits * node.mean_s);
    let mut list = Vec::with_capacity(users + 1);
    let (mut factor, mut present) = (0.0, 0.0);
    for _ in 0..=users {
        list.push(factor);
        present += 1.0;
        let at_work = node
            .servers
            .map_or(present, |servers| f64::from(servers).min(present));
        factor += demand - libm::log(at_work);
    }
    list
}

/// Sums of products, all in logarithms.
fn convolve(a: &[f64], b: &[f64]) -> Vec<f64> {
    (0..a.len())
        .map(|total| {
            let terms = || (0..=total).map(|here| a[here] + b[total - here]);
            let largest = terms().fold(f64::NEG_INFINITY, f64::max);
            if largest == f64::NEG_INFINITY {
                return largest;
            }
            let sum: f64 = terms().map(|term| libm::exp(term - largest)).sum();
            largest + libm::log(sum)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: f64, exact: f64) {
        assert!((found / exact - 1.0).abs() < 1e-8, "{found}, not {exact}");
    }

    #[test]
    fn a_finite_source_and_no_thinking_are_met() {
        // M/M/1//10 and M/M/5//40.
        for (users, think_s, servers, cycles, present, p_wait) in [
            (10, 10.0, 1, 0.785_417_656_9, 2.145_823_431, 0.726_792_056_1),
            (40, 8.0, 5, 4.234_979_663, 6.120_162_699, 0.591_540_640_2),
        ] {
            let node = Node {
                visits: 1.0,
                mean_s: 1.0,
                servers: Some(servers),
            };
            let network = solve(users, think_s, &[node]).unwrap();
            near(network.cycles_per_s, cycles);
            near(network.nodes[0].0, present);
            near(network.nodes[0].1, p_wait);
        }
        let nodes = [0.5, 0.4, 0.2].map(|mean_s| Node {
            visits: 1.0,
            mean_s,
            servers: Some(1),
        });
        let network = solve(8, 0.0, &nodes).unwrap();
        near(network.cycles_per_s, 1.904_202_387);
        near(network.nodes[0].0, 4.932_772_288);
    }

    #[test]
    fn a_thousand_users_neither_overflow_nor_take_long() {
        let node = Node {
            visits: 1.0,
            mean_s: 0.01,
            servers: Some(2),
        };
        let network = solve(1000, 1.0, &[node]).unwrap();
        near(network.cycles_per_s, 200.0);
        assert!(solve(1_000_000, 1.0, &[node]).is_none());
    }
}
