//! The scenarios that ship: each comes to what it promises.
//!
//! Belongs here: one test per story, its point and the setting that mends it. Does not belong here:
//! running them (told).

mod limits;
pub(crate) mod told;

use flowreel_engine::scenario::load;
use std::collections::BTreeMap;
use told::{Told, quantile, sojourns, tell, text};

/// Files of the folder, by name.
fn shipped() -> Vec<String> {
    let folder = format!("{}/../scenarios", env!("CARGO_MANIFEST_DIR"));
    let entries = std::fs::read_dir(folder).expect("scenarios ship");
    let mut names: Vec<String> = entries
        .map(|entry| {
            entry
                .expect("listed")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .filter_map(|file| file.strip_suffix(".toml").map(str::to_owned))
        .collect();
    names.sort();
    names
}

#[test]
fn every_story_says_what_to_watch_and_what_to_expect() {
    let listed = std::fs::read_to_string(format!(
        "{}/../scenarios/README.md",
        env!("CARGO_MANIFEST_DIR")
    ))
    .expect("the list of scenarios");
    for name in shipped() {
        let text = text(&name);
        let scenario = load(&text, &[]).expect("valid");
        assert_eq!(scenario.topology.name, name);
        assert!(text.starts_with("# "), "{name} opens with its story");
        for (key, sentence) in [
            ("title", &scenario.topology.title),
            ("watch", &scenario.watch),
            ("expect", &scenario.expect),
        ] {
            assert!(sentence.len() > 20, "{name}: {key} = {sentence:?}");
        }
        assert!(
            listed.contains(&format!("`{name}`")),
            "{name} is in the list"
        );
    }
}

/// Events of one run; a story is watched, so it must not take longer than a breath.
fn is_short(told: &Told) {
    let count = told.report.as_ref().expect("ran").event_count;
    assert!((2_000..4_000_000).contains(&count), "{count} events");
}

#[test]
fn notification_keeps_its_promises() {
    let told = tell("notification", &[]);
    is_short(&told);
    let mails = sojourns(told.path("email"), 0.0, 600.0);
    assert!(quantile(0.9, mails) < 10.0);
    let messages = sojourns(told.path("in-app"), 0.0, 600.0);
    assert!(quantile(0.5, messages) < 1.0);
}

#[test]
fn login_rush_leaves_its_line_in_front_of_the_mail_worker() {
    let waits = |told: &Told, id: &str, from_s: f64, to_s: f64| {
        let waits = told.at(id).waits_s.iter();
        let within = waits.filter(|(at_s, _)| (from_s..to_s).contains(at_s));
        quantile(0.9, within.map(|(_, wait_s)| *wait_s))
    };
    let told = tell("login-rush", &[]);
    is_short(&told);
    // 14 a second come for 90 s, 5 mails and 10 messages a second go.
    let mails = waits(&told, "mail", 250.0, 400.0);
    let messages = waits(&told, "in-app", 180.0, 260.0);
    assert!(mails > 120.0 && messages > 20.0, "{mails} {messages}");
    // The servers are at rest ten seconds after the rush, the mails not four minutes after it.
    let (servers, mails) = (
        waits(&told, "server-1", 225.0, 450.0),
        waits(&told, "mail", 420.0, 450.0),
    );
    assert!(servers < 1.0 && mails > 60.0, "{servers} {mails}");
    let wide = [
        "station.mail-worker.rate_limit.per_s=20",
        "station.mail-worker.servers=4",
    ];
    let mails = waits(&tell("login-rush", &wide), "mail", 120.0, 400.0);
    assert!(mails < 5.0, "{mails}");
}

#[test]
fn smtp_outage_delays_every_mail_and_loses_none() {
    let told = tell("smtp-outage", &[]);
    is_short(&told);
    assert!(told.path("email").iter().all(|end| end.is_ok));
    let parked = told.at("retry-1").arrivals(180.0, 305.0);
    // Nine in ten requests send a mail, 3.2 a second, for two minutes.
    assert!((250..480).contains(&parked), "{parked}");
    let late = sojourns(told.path("email"), 480.0, 620.0)
        .filter(|time_s| *time_s > 300.0)
        .count();
    assert!(late * 10 > parked * 8, "{late} of {parked} are back");
    // Not one in-app message differs from those of a run without the outage.
    let calm = tell("smtp-outage", &["fault.0.at=15m59s", "fault.0.for=1s"]);
    let messages = |told: &Told| -> Vec<u64> {
        sojourns(told.path("in-app"), 0.0, 950.0)
            .map(f64::to_bits)
            .collect()
    };
    assert_eq!(messages(&told), messages(&calm));
}

#[test]
fn slow_database_makes_a_line_elsewhere() {
    let told = tell("slow-database", &[]);
    is_short(&told);
    assert!(told.at("database").longest_wait_s() < 1e-9);
    let longest = |told: &Told| {
        ["server-1", "server-2", "server-3"]
            .map(|id| told.at(id).longest_wait_s())
            .into_iter()
            .fold(0.0, f64::max)
    };
    assert!(longest(&told) > 10.0, "{}", longest(&told));
    let wider = [
        "station.server-1.servers=4",
        "station.server-2.servers=4",
        "station.server-3.servers=4",
    ];
    let told = tell("slow-database", &wider);
    assert!(longest(&told) < 5.0, "{}", longest(&told));
}

#[test]
fn server_failover_leaves_the_returning_server_idle() {
    let share = |told: &Told| {
        let counts =
            ["server-1", "server-2", "server-3"].map(|id| told.at(id).arrivals(301.0, 600.0));
        counts[1] as f64 / counts.iter().sum::<usize>() as f64
    };
    let told = tell("server-failover", &[]);
    is_short(&told);
    assert_eq!(told.at("server-2").refused, 0);
    assert_eq!(told.at("server-2").arrivals(121.0, 300.0), 0);
    assert!(share(&told) < 0.1, "{}", share(&told));
    let rule = "station.balancer.next={ choose = \"round-robin\", among = [\"server-1\", \"server-2\", \"server-3\"] }";
    let turns = tell("server-failover", &[rule]);
    assert!(
        (share(&turns) - 1.0 / 3.0).abs() < 0.02,
        "{}",
        share(&turns)
    );
}

#[test]
fn reconnect_storm_comes_in_waves_unless_pauses_differ() {
    let last_back_s = |told: &Told| {
        told.requests
            .iter()
            .filter(|end| end.sojourn_s > 1.0)
            .map(|end| end.at_s)
            .fold(60.0, f64::max)
            - 60.0
    };
    let told = tell("websocket-reconnect-storm", &[]);
    is_short(&told);
    let waves = last_back_s(&told);
    assert!(waves > 30.0, "{waves}");
    // Between two waves the gateway is idle.
    let between = told.at("websocket").arrivals(72.5, 74.9);
    assert!(between < 30, "{between}");
    let spread = "station.websocket.on_full={ retry = [ { delay = { dist = \"uniform\", low_s = 0.0, high_s = 10.0 }, via = \"reconnect\" } ], last = \"repeat\" }";
    let spread = last_back_s(&tell("websocket-reconnect-storm", &[spread]));
    assert!(spread < waves / 2.0, "{spread} against {waves}");
}

#[test]
fn dead_letters_flood_when_the_outage_outlasts_the_ladder() {
    let told = tell("dead-letter-flood", &[]);
    is_short(&told);
    let dead = told.at("dlq").arrivals(120.0, 500.0);
    // Those of the first three minutes fail three times: 2.6 a second, 0.9 to the third.
    assert!((250..460).contains(&dead), "{dead}");
    let short = tell("dead-letter-flood", &["fault.0.for=90s"]);
    let dead = short.at("dlq").arrivals(120.0, 500.0);
    assert!(dead < 60, "{dead}");
}

#[test]
fn black_friday_fills_the_payment_provider() {
    let failed = |told: &Told, from_s: f64, to_s: f64| {
        let orders = told
            .requests
            .iter()
            .filter(|end| (from_s..to_s).contains(&end.at_s));
        let (mut bad, mut all) = (0_u32, 0_u32);
        for end in orders {
            all += 1;
            bad += u32::from(!end.is_ok);
        }
        f64::from(bad) / f64::from(all)
    };
    let told = tell("black-friday", &[]);
    is_short(&told);
    assert!(
        failed(&told, 0.0, 2280.0) < 1e-9,
        "{}",
        failed(&told, 0.0, 2280.0)
    );
    assert!(
        failed(&told, 2300.0, 2580.0) > 0.1,
        "{}",
        failed(&told, 2300.0, 2580.0)
    );
    let wide = tell(
        "black-friday",
        &["station.payment.servers=80", "station.payment.capacity=80"],
    );
    assert!(
        failed(&wide, 2300.0, 2580.0) < 0.001,
        "{}",
        failed(&wide, 2300.0, 2580.0)
    );
}

#[test]
fn event_check_in_waits_as_arithmetic_says() {
    let told = tell("event-check-in-rush", &[]);
    is_short(&told);
    // 0.6 guests a second too many for 900 s, worked off at 1.6 a second.
    let longest = told.at("check-in").longest_wait_s();
    assert!((longest - 337.0).abs() < 34.0, "{longest}");
    let wide = tell("event-check-in-rush", &["station.check-in.servers=12"]);
    assert!(
        wide.at("check-in").longest_wait_s() < 30.0,
        "{}",
        wide.at("check-in").longest_wait_s()
    );
}

/// Chance of each length of the shortest of three lines as an arrival sees them (PASTA), from the
/// balance equations of the Markov chain of sorted lines cut at `MOST`, by Gauss-Seidel.
fn shortest_of_three(arrivals_per_s: f64, services_per_s: f64) -> Vec<f64> {
    const MOST: usize = 36;
    let mut index = BTreeMap::new();
    for a in 0..=MOST {
        for b in a..=MOST {
            for c in b..=MOST {
                let position = index.len();
                index.insert([a, b, c], position);
            }
        }
    }
    // Transitions into each state: (from, rate); and the rate out of it.
    let mut into: Vec<Vec<(usize, f64)>> = vec![Vec::new(); index.len()];
    let mut out = vec![0.0; index.len()];
    for (lines, &from) in &index {
        let mut add = |mut to: [usize; 3], rate: f64| {
            to.sort_unstable();
            if let Some(&to) = index.get(&to) {
                into[to].push((from, rate));
                out[from] += rate;
            }
        };
        add([lines[0] + 1, lines[1], lines[2]], arrivals_per_s);
        for server in 0..3 {
            if lines[server] > 0 {
                let mut to = *lines;
                to[server] -= 1;
                add(to, services_per_s);
            }
        }
    }
    // Begun near the answer: long and uneven lines are rare.
    let load = arrivals_per_s / (3.0 * services_per_s);
    let guess = |lines: &[usize; 3]| {
        let (total, spread) = (
            (lines[0] + lines[1] + lines[2]) as f64,
            (lines[2] - lines[0]) as f64,
        );
        libm::pow(load, total) * libm::pow(0.3, spread)
    };
    let mut p: Vec<f64> = vec![0.0; index.len()];
    for (lines, &state) in &index {
        p[state] = guess(lines);
    }
    for _ in 0..2000 {
        for state in 0..p.len() {
            let inflow: f64 = into[state].iter().map(|(from, rate)| p[*from] * rate).sum();
            p[state] = inflow / out[state];
        }
        let total: f64 = p.iter().sum();
        p.iter_mut().for_each(|share| *share /= total);
    }
    let mut shortest = vec![0.0; MOST + 1];
    for (lines, &state) in &index {
        shortest[lines[0]] += p[state];
    }
    shortest
}

#[test]
fn jsq_and_round_robin_meet_exact_theory() {
    let (rate, service) = (25.5_f64, 10.0_f64);
    // Whoever finds n in the shortest line stays for n + 1 services: an Erlang time.
    let shortest = shortest_of_three(rate, service);
    let mean = shortest
        .iter()
        .zip(1..)
        .map(|(p, n)| p * f64::from(n) / service)
        .sum::<f64>();
    let above = |t_s: f64| -> f64 {
        let x = service * t_s;
        let mut term = libm::exp(-x);
        let mut tail = 0.0;
        let mut sum = 0.0;
        for (n, p) in shortest.iter().enumerate() {
            tail += term;
            term *= x / (n + 1) as f64;
            sum += p * tail;
        }
        sum
    };
    let bisect = |is_low: &dyn Fn(f64) -> bool, mut low: f64, mut high: f64| {
        for _ in 0..80 {
            let middle = f64::midpoint(low, high);
            if is_low(middle) {
                low = middle;
            } else {
                high = middle;
            }
        }
        low
    };
    let p99 = bisect(&|t_s| above(t_s) > 0.01, 0.0, 20.0);
    // In turn each server sees Erlang-3 gaps: GI/M/1, whose sojourn is exponential with rate
    // services · (1 - s), s the root of s = A*(services · (1 - s)) (Kleinrock 1975, 6.4).
    let gaps = |s: f64| {
        let one = rate / (rate + service * (1.0 - s));
        one * one * one
    };
    let root = bisect(&|s| gaps(s) > s, 0.0, 1.0 - 1e-9);
    let turns_mean = 1.0 / (service * (1.0 - root));
    let turns_p99 = turns_mean * libm::log(100.0);

    let close = |what: &str, found: f64, exact: f64, allowance: f64| {
        assert!(
            (found / exact - 1.0).abs() < allowance,
            "{what}: {found}, exactly {exact}"
        );
    };
    let times =
        |told: &Told| -> Vec<f64> { sojourns(&told.requests, 60.0, f64::INFINITY).collect() };
    let average = |times: &[f64]| times.iter().sum::<f64>() / times.len() as f64;
    let told = tell("jsq-vs-round-robin", &[]);
    is_short(&told);
    let jsq = times(&told);
    close("mean, fewest first", average(&jsq), mean, 0.03);
    close(
        "p99, fewest first",
        quantile(0.99, jsq.iter().copied()),
        p99,
        0.05,
    );
    let turns = times(&tell(
        "jsq-vs-round-robin",
        &["station.balancer.next.choose=round-robin"],
    ));
    close("mean, in turn", average(&turns), turns_mean, 0.03);
    close(
        "p99, in turn",
        quantile(0.99, turns.iter().copied()),
        turns_p99,
        0.06,
    );
    assert!(turns_p99 / p99 > 1.5, "{turns_p99} against {p99}");
}

#[test]
fn an_autoscaler_helps_after_its_lag() {
    // Sojourns of those who come within the first minute after the step.
    let first_minute = |told: &Told| {
        let times = sojourns(&told.requests, 300.0, 400.0);
        quantile(0.9, times)
    };
    let told = tell("autoscaler-with-lag", &[]);
    is_short(&told);
    assert!(first_minute(&told) > 10.0, "{}", first_minute(&told));
    let calm = quantile(0.99, sojourns(&told.requests, 900.0, 1200.0));
    assert!(calm < 2.0, "{calm}");
    let quick = first_minute(&tell(
        "autoscaler-with-lag",
        &["station.api.autoscale.up_lag_s=5"],
    ));
    assert!(quick * 4.0 < first_minute(&told), "{quick}");
}

#[test]
fn hedging_cuts_the_tail_for_little_work() {
    let told = tell("hedging", &[]);
    is_short(&told);
    let never = tell(
        "hedging",
        &[
            "station.ask-first.next.after_s=60",
            "station.ask-second.next.after_s=60",
        ],
    );
    let p99 = |told: &Told| quantile(0.99, sojourns(&told.requests, 10.0, f64::INFINITY));
    let work = |told: &Told| {
        (told.at("replica-1").arrivals_s.len() + told.at("replica-2").arrivals_s.len()) as f64
    };
    assert!(
        p99(&told) * 2.0 < p99(&never),
        "{} against {}",
        p99(&told),
        p99(&never)
    );
    let more = work(&told) / work(&never);
    assert!((1.01..1.1).contains(&more), "{more} times the requests");
}

#[test]
fn the_activity_dashboard_ticks_whatever_happens() {
    let told = tell("activity-dashboard", &[]);
    is_short(&told);
    // Ticks from 5 s to 595 s reach five sockets each; the one at 600 s is still being drawn.
    assert_eq!(told.at("websocket").arrivals_s.len(), 119 * 5);
    let busy = tell(
        "activity-dashboard",
        &["source.users.arrivals.rates_per_s=[100.0, 1000.0]"],
    );
    assert_eq!(busy.at("websocket").arrivals_s.len(), 119 * 5);
    let counted = |told: &Told| told.at("counter").arrivals_s.len();
    assert!(counted(&busy) > 3 * counted(&told));
}

#[test]
fn priorities_shield_a_tenant_from_its_noisy_neighbour() {
    let p95 = |told: &Told| quantile(0.95, sojourns(&told.class("quiet"), 120.0, 240.0));
    let told = tell("noisy-neighbour", &[]);
    is_short(&told);
    assert!(p95(&told) < 0.5, "{}", p95(&told));
    let fifo = tell("noisy-neighbour", &["station.api.discipline=fifo"]);
    assert!(p95(&fifo) > 10.0, "{}", p95(&fifo));
}
