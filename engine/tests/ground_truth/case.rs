//! The cases: models whose performance is known exactly, as `cases.json` holds them.
//!
//! Belongs here: reading the table. Does not belong here: what a case becomes as a scenario (write).

use serde_json::Value;

/// One model with its exact values.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) model: String,
    pub(crate) params: Value,
    pub(crate) expect: Value,
}

/// Every case, in the order of the table.
pub(crate) fn all() -> Vec<Case> {
    let rows: Vec<Value> =
        serde_json::from_str(include_str!("cases.json")).expect("the table is JSON");
    rows.into_iter().map(Case::from).collect()
}

/// The case of that name.
pub(crate) fn named(id: &str) -> Case {
    let found = all().into_iter().find(|case| case.id == id);
    found.unwrap_or_else(|| panic!("the table has no case `{id}`"))
}

/// A number; panics where there is none, for the table is ours.
pub(crate) fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("{value} is not a number"))
}

/// A text of the table.
pub(crate) fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is not a text"))
}

/// The elements of a list; none where there is no list.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

impl Case {
    pub(crate) fn has(&self, param: &str) -> bool {
        self.params.get(param).is_some()
    }

    /// An expected number, where the table gives one.
    pub(crate) fn exact(&self, key: &str) -> Option<f64> {
        self.expect.get(key).and_then(Value::as_f64)
    }

    /// Requests per second that enter.
    pub(crate) fn rate_per_s(&self) -> f64 {
        let given = self.params["arrival_rate_per_s"].as_f64();
        let by_class = list(&self.params["classes"]).iter();
        let by_station = list(&self.params["stations"]).iter();
        let sum = by_class
            .map(|class| number(&class["arrival_rate_per_s"]))
            .chain(by_station.filter_map(|row| row["external_arrival_rate_per_s"].as_f64()))
            .sum::<f64>();
        given
            .or_else(|| (sum > 0.0).then_some(sum))
            .or_else(|| self.exact("throughput_per_s"))
            .unwrap_or(1.0)
    }
}

impl From<Value> for Case {
    fn from(row: Value) -> Self {
        Self {
            id: text(&row["id"]).to_owned(),
            model: text(&row["model"]).to_owned(),
            params: row["params"].clone(),
            expect: row["expect"].clone(),
        }
    }
}
