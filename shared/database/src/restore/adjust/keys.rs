//! The values in an index's key. Servers before 3.4 accepted any value: a negative number meant
//! descending, a nonempty text an index of that type, and everything else ascending. Later servers
//! refuse most of them.

use bson::{Bson, Document};

use super::number;

/// Converts values other than whole numbers and types of indexes. Returns the fields, each with its
/// old value.
pub(super) fn convert(key: &mut Document) -> Vec<(String, Bson)> {
    let mut converted = Vec::new();
    for (field, value) in key.iter_mut() {
        if let Some(direction) = direction_of(value) {
            converted.push((
                field.clone(),
                std::mem::replace(value, Bson::Int32(direction)),
            ));
        }
    }
    converted
}

/// Ascending or descending, for a value without a valid form.
fn direction_of(value: &Bson) -> Option<i32> {
    match value {
        Bson::String(kind) if !kind.is_empty() => None,
        _ => match number(value) {
            Some(number) if number != 0.0 && number.fract() == 0.0 => None,
            Some(number) if number < 0.0 => Some(-1),
            _ => Some(1),
        },
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    #[test]
    fn values_of_old_servers_become_their_direction() {
        let mut key = doc! {
            "a": "", "b": 0, "c": true, "d": -1e-10, "e": 2.5, "f": null, "g": {}, "h": -0.0, "i": f64::NAN,
            "j": f64::NEG_INFINITY, "k": "0".parse::<bson::Decimal128>().unwrap(),
        };
        assert_eq!(convert(&mut key).len(), 11);
        assert_eq!(
            key,
            doc! { "a": 1, "b": 1, "c": 1, "d": -1, "e": 1, "f": 1, "g": 1, "h": 1, "i": 1, "j": -1, "k": 1 }
        );
    }

    #[test]
    fn whole_numbers_and_types_stay() {
        let key = doc! { "a": 1, "b": -1_i64, "c": 2.0, "d": "2dsphere", "_fts": "text", "e": -5 };
        let mut converted = key.clone();
        assert_eq!(convert(&mut converted), []);
        assert_eq!(converted, key);
    }
}
