//! Shapes of JSON: what fields are called and what may stand in them.
//!
//! Belongs here: the shapes and their form as JSON Schema. Does not belong here: which route has which
//! (table), checks of values (middleware).

use serde_json::{Map, Value, json};

/// A field of an object, or a parameter of a query.
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) schema: Schema,
    pub(crate) is_required: bool,
}

/// A field that is always there.
pub(crate) const fn always(name: &'static str, schema: Schema) -> Field {
    Field {
        name,
        schema,
        is_required: true,
    }
}

/// A field that may be absent.
pub(crate) const fn maybe(name: &'static str, schema: Schema) -> Field {
    Field {
        name,
        schema,
        is_required: false,
    }
}

/// What may stand somewhere.
pub(crate) enum Schema {
    /// A text of so many characters.
    Text(usize, usize),
    Address,
    /// A number of a user as text.
    Id,
    Time,
    /// From and to.
    Whole(u64, u64),
    /// At least 0.
    Count,
    /// Above 0, up to.
    Positive(f64),
    Number,
    Flag,
    OneOf(&'static [&'static str]),
    /// Objects say all their fields.
    Object(&'static [Field]),
    /// An object that may have more fields than these.
    Open(&'static [Field]),
    /// An object from names to values of one shape.
    Map(&'static Schema),
    List(&'static Schema),
    Any,
}

/// A text that we made.
pub(crate) const TEXT: Schema = Schema::Text(0, usize::MAX);

impl Schema {
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::Text(0, usize::MAX) => json!({"type": "string"}),
            Self::Text(min, max) => {
                json!({"type": "string", "minLength": min, "maxLength": max})
            }
            Self::Address => json!({"type": "string", "format": "email", "maxLength": 254}),
            Self::Id => json!({"type": "string", "pattern": "^[0-9]{1,19}$"}),
            Self::Time => json!({"type": "string", "format": "date-time"}),
            Self::Whole(from, to) => json!({"type": "integer", "minimum": from, "maximum": to}),
            Self::Count => json!({"type": "integer", "minimum": 0}),
            Self::Positive(to) => json!({"type": "number", "exclusiveMinimum": 0, "maximum": to}),
            Self::Number => json!({"type": "number"}),
            Self::Flag => json!({"type": "boolean"}),
            Self::OneOf(names) => json!({"type": "string", "enum": names}),
            Self::Object(fields) => object(fields, false),
            Self::Open(fields) => object(fields, true),
            Self::Map(values) => {
                json!({"type": "object", "additionalProperties": values.to_json()})
            }
            Self::List(items) => json!({"type": "array", "items": items.to_json()}),
            Self::Any => json!({}),
        }
    }
}

fn object(fields: &[Field], is_open: bool) -> Value {
    let shape_of = |field: &Field| {
        let shape = field.schema.to_json();
        if field.is_required {
            shape
        } else {
            // `null` says the same as leaving it out.
            json!({"anyOf": [shape, {"type": "null"}]})
        }
    };
    let properties: Map<String, Value> = fields
        .iter()
        .map(|field| (field.name.to_owned(), shape_of(field)))
        .collect();
    let required: Vec<&str> = fields
        .iter()
        .filter(|field| field.is_required)
        .map(|field| field.name)
        .collect();
    let mut shape = json!({"type": "object", "properties": properties, "required": required});
    if !is_open && let Some(shape) = shape.as_object_mut() {
        shape.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    shape
}

/// The shape of bodies: as [`Schema::Object`], for fields that stand in a table.
pub(crate) fn body_schema(fields: &[Field]) -> Value {
    object(fields, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_name_their_fields_and_which_must_be_there() {
        static FIELDS: [Field; 2] = [always("a", Schema::Id), maybe("b", Schema::Flag)];
        let shape = Schema::Object(&FIELDS).to_json();
        assert_eq!(shape["required"], json!(["a"]));
        let optional = json!({"anyOf": [{"type": "boolean"}, {"type": "null"}]});
        assert_eq!(shape["properties"]["b"], optional);
        assert_eq!(shape["additionalProperties"], false);
        assert!(
            Schema::Open(&FIELDS)
                .to_json()
                .get("additionalProperties")
                .is_none()
        );
    }
}
