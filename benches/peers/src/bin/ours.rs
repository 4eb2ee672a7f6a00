//! This project's engine, whole: every figure of the simulate answer, run hash, nothing recorded.
//!
//! Belongs here: the models as scenarios. Does not belong here: short cuts past the public interface.
//!
//! Two more models show that cost per event stays flat: `pending` (requests in service side by side) and
//! `wide` (stations), each with the size in place of the number of servers.

use flowreel_engine::analysis::{Answer, Runs, simulate};
use flowreel_engine::scenario::load;
use flowreel_peers::{MODELS, cpu_s, print_line};
use std::fmt::Write as _;

fn scenario(name: &str, requests: u64, size: u64) -> String {
    let mut text = format!("schema = 1\nname = \"bench\"\nrequests = {requests}\nwarmup = 0\n");
    let mut source = |to: &str, rate: f64| {
        let _ = write!(
            text,
            "[[source]]\nid = \"arrivals\"\narrivals = {{ process = \"poisson\", rate_per_s = {rate} }}\nto = {to}\n"
        );
    };
    let station = |id: u64, servers: &str, mean_s: f64, next: &str| {
        format!(
            "[[station]]\nid = \"s{id}\"\nservers = {servers}\nnext = {next}\n\
             service = {{ dist = \"exponential\", mean_s = {mean_s} }}\n"
        )
    };
    match name {
        "pending" => {
            source("\"s0\"", size as f64);
            text += &station(0, "\"infinite\"", 1.0, "\"done\"");
        }
        "wide" => {
            let among: Vec<String> = (0..size).map(|id| format!("\"s{id}\"")).collect();
            source(
                &format!("{{ choose = \"random\", among = [{}] }}", among.join(",")),
                size as f64,
            );
            for id in 0..size {
                text += &station(id, "1", 0.8, "\"done\"");
            }
        }
        _ => {
            let model = MODELS.into_iter().find(|model| model.name == name);
            let model = model.expect("the first word is a model");
            source("\"s1\"", 1e9 / model.gap_ns);
            for id in 1..=model.stations as u64 {
                let next = if id < model.stations as u64 {
                    format!("\"s{}\"", id + 1)
                } else if model.again > 0.0 {
                    let (again, done) = (model.again, 1.0 - model.again);
                    format!(
                        "{{ probability = [ {{ to = \"s1\", p = {again} }}, {{ to = \"done\", p = {done} }} ] }}"
                    )
                } else {
                    "\"done\"".to_owned()
                };
                text += &station(
                    id,
                    &model.servers.to_string(),
                    model.service_ns / 1e9,
                    &next,
                );
            }
        }
    }
    text
}

fn main() {
    let mut words = std::env::args().skip(1);
    let name = words.next().unwrap_or_default();
    let mut number = |otherwise| {
        words
            .next()
            .map_or(otherwise, |word| word.parse().expect("a number"))
    };
    let requests = number(1_000_000);
    let size = number(1);
    // Filling up is not what is measured: a run of half the requests is taken off.
    let once = |requests: u64| {
        let scenario = load(&scenario(&name, requests, size), &[]).expect("a valid scenario");
        let start = cpu_s();
        let figures = simulate(&scenario, 1, &mut ()).expect("the run ends");
        let spent = cpu_s() - start;
        let answer = Answer::new(&scenario, 1, &Runs::one(&scenario, figures));
        let visits: u64 = answer
            .stations
            .values()
            .map(|station| station.arrivals + station.completed)
            .sum();
        let mean_s = answer
            .system
            .sojourn_s
            .mean
            .map_or(f64::NAN, |mean| mean.value);
        (visits, spent, mean_s)
    };
    let (events, spent, mean_s) = once(requests);
    if size > 1 {
        let (filling, filling_spent, _) = once(requests / 2);
        return print_line(events - filling, spent - filling_spent, mean_s);
    }
    print_line(events, spent, mean_s);
}
