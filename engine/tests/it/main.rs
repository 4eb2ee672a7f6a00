//! Public behaviour of the engine: one binary, a file per topic.

mod analytic;
mod autoscale;
mod cli;
mod coverage;
mod fault;
mod hedges;
mod import;
mod joins;
mod kernel;
mod language;
mod language_cli;
mod language_fuzz;
mod lines;
mod recordings;
mod reel;
mod reel_hostile;
mod replay;
mod scenario;
mod simulate;
mod stories;
mod swarm;
mod theory;
mod theory_joins;
mod theory_lines;
mod theory_sources;
mod transient;
