//! Same scenario, seed and version: same bytes. Asked of the built program, as a user would.
//!
//! Belongs here: runs side by side and their hashes. Does not belong here: what a run computes.

use crate::environment::Environment;
use crate::process;
use crate::steps::Ending;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

const SCENARIO: &str = "scenarios/notification.toml";

/// Two runs, another seed, a run that records, and the proof a reel carries in itself.
pub(crate) fn check(environment: &Environment) -> Result<Ending> {
    let folder = environment.target.join("xtask-test");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("{} cannot be made", folder.display()))?;
    let reel = folder.join("determinism.reel");

    let first = simulate(environment, "7", None)?;
    ensure!(
        first == simulate(environment, "7", None)?,
        "seed 7 gave two run hashes"
    );
    ensure!(
        first != simulate(environment, "8", None)?,
        "seeds 7 and 8 gave one run hash"
    );
    ensure!(
        first == simulate(environment, "7", Some(&reel))?,
        "recording the run changed its hash"
    );
    let mut verify = flowreel(environment);
    process::output(
        verify
            .arg("verify")
            .arg(&reel)
            .args(["--resimulate", "--json"]),
    )?;
    Ok(Ending::Passed(format!(
        "run hash {first}, four runs and one simulated again"
    )))
}

/// Every shipped scenario and the models of the kernel's bench: the program built for tests, the one built
/// to ship, one thread and two all give one hash.
pub(crate) fn check_builds(environment: &Environment) -> Result<Ending> {
    let arguments = [
        "build",
        "--locked",
        "--release",
        "--package",
        "flowreel-engine",
        "--bin",
        "flowreel",
    ];
    process::run(&mut environment.cargo(&arguments))?;
    let shipped = environment.target.join("release/flowreel");
    let tested = environment.program("flowreel");
    let scenarios = scenarios(environment)?;
    for scenario in &scenarios {
        let name = scenario.display();
        let length = ["--duration", "90s"];
        let alone = ["--threads", "1", "--replications", "3"];
        let beside = ["--threads", "2", "--replications", "3"];
        let hash = hash_of(environment, &tested, scenario, &length)?;
        ensure!(
            hash == hash_of(environment, &shipped, scenario, &length)?,
            "{name}: the build that ships has another run hash than the one that is tested"
        );
        let hash = hash_of(
            environment,
            &tested,
            scenario,
            &[&length[..], &alone].concat(),
        )?;
        ensure!(
            hash == hash_of(
                environment,
                &shipped,
                scenario,
                &[&length[..], &beside].concat()
            )?,
            "{name}: two threads have another run hash than one"
        );
    }
    Ok(Ending::Passed(format!(
        "{} scenarios, both builds, one thread and two",
        scenarios.len()
    )))
}

fn simulate(environment: &Environment, seed: &str, reel: Option<&Path>) -> Result<String> {
    let mut command = flowreel(environment);
    command.args(["simulate", SCENARIO, "--seed", seed, "--json"]);
    if let Some(reel) = reel {
        command.arg("--out").arg(reel);
    }
    let answer: Value = serde_json::from_str(&process::output(&mut command)?)
        .context("the answer of `flowreel simulate --json` is not JSON")?;
    let hash = answer["run_hash"]
        .as_str()
        .context("the answer has no run_hash")?;
    Ok(hash.to_owned())
}

fn hash_of(
    environment: &Environment,
    program: &Path,
    scenario: &Path,
    words: &[&str],
) -> Result<String> {
    let mut command = Command::new(program);
    command
        .current_dir(&environment.root)
        .arg("simulate")
        .arg(scenario);
    command.args(["--json", "--allow-unstable"]).args(words);
    // A promise that does not hold makes an answer and exit code 1.
    let output = command.output().context("the program does not start")?;
    let answer: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("{}: the answer is not JSON", scenario.display()))?;
    let hash = answer["run_hash"]
        .as_str()
        .with_context(|| format!("{}: {}", scenario.display(), answer["error"]))?;
    Ok(hash.to_owned())
}

/// Shipped scenarios, and the bench's models written down.
fn scenarios(environment: &Environment) -> Result<Vec<PathBuf>> {
    let folder = environment.root.join("scenarios");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&folder).context("there is no folder of scenarios")? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            found.push(path);
        }
    }
    found.sort();
    let again = "{ probability = [ { to = \"s1\", p = 0.2 }, { to = \"done\", p = 0.8 } ] }";
    for (name, rate, stations, servers, mean_s, last) in [
        ("mm1", 100.0, 1, 1, 0.008, "\"done\""),
        ("mm10", 100.0, 1, 10, 0.08, "\"done\""),
        ("tandem", 80.0, 5, 1, 0.008, again),
    ] {
        let mut text = format!(
            "schema = 1\nname = \"{name}\"\nrequests = 1\n[[source]]\nid = \"arrivals\"\n\
             arrivals = {{ process = \"poisson\", rate_per_s = {rate} }}\nto = \"s1\"\n"
        );
        for id in 1..=stations {
            let on = format!("\"s{}\"", id + 1);
            let next = if id < stations { on.as_str() } else { last };
            text += &format!(
                "[[station]]\nid = \"s{id}\"\nservers = {servers}\nnext = {next}\n\
                 service = {{ dist = \"exponential\", mean_s = {mean_s} }}\n"
            );
        }
        let path = environment
            .target
            .join("xtask-test")
            .join(format!("{name}.toml"));
        std::fs::write(&path, text)
            .with_context(|| format!("{} cannot be written", path.display()))?;
        found.push(path);
    }
    Ok(found)
}

fn flowreel(environment: &Environment) -> Command {
    let mut command = Command::new(environment.program("flowreel"));
    command.current_dir(&environment.root);
    command
}
