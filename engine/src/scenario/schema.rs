//! The JSON Schema of scenario files, kept equal to what the reader takes.
//!
//! Belongs here: the schema's text, and the tests that hold it to the reader. Does not belong here:
//! reading scenarios.

/// JSON Schema, draft 2020-12; `flowreel schema` prints it.
pub const SCHEMA_JSON: &str = include_str!("schema.json");

#[cfg(test)]
mod tests;
