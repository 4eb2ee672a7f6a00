//! `flowreel schema`: the JSON Schema of scenario files.
//!
//! Belongs here: the verb. Does not belong here: the schema itself (scenario/schema.json), checking.

use super::{CliError, Console, Outcome};
use flowreel_engine::scenario::SCHEMA_JSON;
use serde::Serialize;

/// Print the JSON Schema (draft 2020-12) of scenario files.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: flowreel schema")]
pub(super) struct Args {}

#[derive(Serialize)]
struct SchemaAnswer {
    schema: &'static str,
    json_schema: serde_json::Value,
}

pub(super) fn run(_args: &Args, console: &mut Console<'_>) -> Result<Outcome, CliError> {
    if console.json {
        let json_schema = serde_json::from_str(SCHEMA_JSON)
            .map_err(|error| CliError::environment(format!("the schema is damaged: {error}")))?;
        console.answer(&SchemaAnswer {
            schema: "flowreel.schema/1",
            json_schema,
        })?;
    } else {
        console.text(SCHEMA_JSON)?;
    }
    Ok(Outcome::Done)
}
