//! JSON texts as trees, with the Go tools' additions to RFC 8259: `NaN`, `Infinity`, `undefined`,
//! and Go's own escapes. A key records whether its `$` was escaped. This distinguishes a document
//! from a wrapper.

use std::{iter::Peekable, str::CharIndices};

/// Levels of arrays and objects in one text. Servers take documents of 200 levels, and wrappers add
/// two.
const MAX_DEPTH: usize = 256;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json {
    Null,
    Undefined,
    Boolean(bool),
    Whole(i64),
    Double(f64),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(Key, Json)>),
}

/// An object's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) text: String,
    /// It begins with `\u0024`, an escaped `$`.
    pub(super) is_escaped: bool,
}

/// A text in a form other than JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} at byte {offset}")]
pub struct JsonError {
    /// Bytes before the fault.
    pub offset: usize,
    /// The expected text.
    pub expected: &'static str,
}

impl Json {
    pub(super) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Whole(number) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn as_object(&self) -> Option<&[(Key, Json)]> {
        match self {
            Self::Object(fields) => Some(fields),
            _ => None,
        }
    }
}

/// Reads a complete text.
pub(super) fn parse(text: &str) -> Result<Json, JsonError> {
    let mut parser = Parser {
        text,
        characters: text.char_indices().peekable(),
        depth: 0,
    };
    let value = parser.value()?;
    parser.skip_space();
    match parser.characters.peek() {
        None => Ok(value),
        Some(_) => Err(parser.fault("the end of the text")),
    }
}

struct Parser<'a> {
    text: &'a str,
    characters: Peekable<CharIndices<'a>>,
    depth: usize,
}

impl Parser<'_> {
    fn offset(&mut self) -> usize {
        self.characters
            .peek()
            .map_or(self.text.len(), |(offset, _)| *offset)
    }

    fn fault(&mut self, expected: &'static str) -> JsonError {
        JsonError {
            offset: self.offset(),
            expected,
        }
    }

    fn peek(&mut self) -> Option<char> {
        self.characters.peek().map(|(_, character)| *character)
    }

    fn take(&mut self, wanted: char) -> bool {
        self.characters
            .next_if(|(_, character)| *character == wanted)
            .is_some()
    }

    fn skip_space(&mut self) {
        while self
            .characters
            .next_if(|(_, character)| matches!(character, ' ' | '\t' | '\n' | '\r'))
            .is_some()
        {}
    }

    fn value(&mut self) -> Result<Json, JsonError> {
        self.skip_space();
        match self.peek() {
            Some('{') => self.nested(Self::object),
            Some('[') => self.nested(Self::array),
            Some('"') => Ok(Json::Text(self.string()?)),
            _ => self.word(),
        }
    }

    fn nested(
        &mut self,
        read: fn(&mut Self) -> Result<Json, JsonError>,
    ) -> Result<Json, JsonError> {
        if self.depth == MAX_DEPTH {
            return Err(self.fault("at most 256 levels of nesting"));
        }
        self.depth += 1;
        self.characters.next();
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn array(&mut self) -> Result<Json, JsonError> {
        let mut values = Vec::new();
        self.skip_space();
        if self.take(']') {
            return Ok(Json::Array(values));
        }
        loop {
            values.push(self.value()?);
            self.skip_space();
            if self.take(']') {
                return Ok(Json::Array(values));
            }
            if !self.take(',') {
                return Err(self.fault("`,` or `]`"));
            }
        }
    }

    fn object(&mut self) -> Result<Json, JsonError> {
        let mut fields = Vec::new();
        self.skip_space();
        if self.take('}') {
            return Ok(Json::Object(fields));
        }
        loop {
            let key = self.key()?;
            self.skip_space();
            if !self.take(':') {
                return Err(self.fault("`:`"));
            }
            fields.push((key, self.value()?));
            self.skip_space();
            if self.take('}') {
                return Ok(Json::Object(fields));
            }
            if !self.take(',') {
                return Err(self.fault("`,` or `}`"));
            }
        }
    }

    fn key(&mut self) -> Result<Key, JsonError> {
        self.skip_space();
        if self.peek() != Some('"') {
            return Err(self.fault("a key in double quotes"));
        }
        let start = self.offset() + 1;
        let text = self.string()?;
        Ok(Key {
            text,
            is_escaped: self.text[start..].starts_with("\\u0024"),
        })
    }

    /// A number or a word. Go also writes `+Infinity`.
    fn word(&mut self) -> Result<Json, JsonError> {
        let start = self.offset();
        let is_part = |character: &char| {
            character.is_ascii_alphanumeric() || matches!(character, '+' | '-' | '.')
        };
        while self
            .characters
            .next_if(|(_, character)| is_part(character))
            .is_some()
        {}
        let end = self.offset();
        let word = &self.text[start..end];
        match word {
            "null" => Ok(Json::Null),
            "undefined" => Ok(Json::Undefined),
            "true" => Ok(Json::Boolean(true)),
            "false" => Ok(Json::Boolean(false)),
            "NaN" => Ok(Json::Double(f64::NAN)),
            "Infinity" | "+Infinity" => Ok(Json::Double(f64::INFINITY)),
            "-Infinity" => Ok(Json::Double(f64::NEG_INFINITY)),
            _ => number(word).ok_or(JsonError {
                offset: start,
                expected: "a value",
            }),
        }
    }

    fn string(&mut self) -> Result<String, JsonError> {
        self.characters.next();
        let mut text = String::new();
        loop {
            let at = self.offset();
            match self.characters.next() {
                Some((_, '"')) => return Ok(text),
                Some((_, '\\')) => text.push(self.escaped()?),
                Some((_, character)) if character >= ' ' => text.push(character),
                _ => {
                    return Err(JsonError {
                        offset: at,
                        expected: "the rest of a text in double quotes",
                    });
                }
            }
        }
    }

    fn escaped(&mut self) -> Result<char, JsonError> {
        let at = self.offset();
        let fault = JsonError {
            offset: at,
            expected: "an escape sequence of JSON or Go",
        };
        let Some((_, character)) = self.characters.next() else {
            return Err(fault);
        };
        Ok(match character {
            '"' | '\\' | '/' | '\'' => character,
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            'x' => self.code(2).and_then(char::from_u32).ok_or(fault)?,
            'U' => self.code(8).and_then(char::from_u32).ok_or(fault)?,
            'u' => self.utf16().ok_or(fault)?,
            _ => return Err(fault),
        })
    }

    fn code(&mut self, digits: usize) -> Option<u32> {
        let mut code = 0_u32;
        for _ in 0..digits {
            let digit = self.characters.next()?.1.to_digit(16)?;
            code = code.checked_mul(16)? + digit;
        }
        Some(code)
    }

    /// Characters beyond U+FFFF are two escapes.
    fn utf16(&mut self) -> Option<char> {
        let first = u16::try_from(self.code(4)?).ok()?;
        let mut units = vec![first];
        if (0xd800..0xdc00).contains(&first) {
            if !(self.take('\\') && self.take('u')) {
                return None;
            }
            units.push(u16::try_from(self.code(4)?).ok()?);
        }
        char::decode_utf16(units).next()?.ok()
    }
}

fn number(word: &str) -> Option<Json> {
    let digits = word.strip_prefix('-').unwrap_or(word);
    let is_number = digits.starts_with(|first: char| first.is_ascii_digit())
        && digits.chars().all(|character| {
            character.is_ascii_digit() || matches!(character, '.' | 'e' | 'E' | '+' | '-')
        });
    if !is_number {
        return None;
    }
    match word.parse() {
        Ok(whole) if word != "-0" => Some(Json::Whole(whole)),
        _ => word.parse().ok().map(Json::Double),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_writes_beyond_json_is_read() {
        let words =
            parse("[Infinity, +Infinity, -Infinity, undefined, 1e+21, -0, 9223372036854775808]")
                .unwrap();
        assert_eq!(
            words,
            Json::Array(vec![
                Json::Double(f64::INFINITY),
                Json::Double(f64::INFINITY),
                Json::Double(f64::NEG_INFINITY),
                Json::Undefined,
                Json::Double(1e21),
                Json::Double(-0.0),
                Json::Double(9_223_372_036_854_775_808.0),
            ])
        );
        assert!(matches!(parse("NaN"), Ok(Json::Double(number)) if number.is_nan()));
        assert_eq!(
            parse(r#""\a\v\x7f\U0001f600\ud83d\ude00\/""#),
            Ok(Json::Text("\u{7}\u{b}\u{7f}😀😀/".to_owned()))
        );
    }

    #[test]
    fn faults_are_reported_with_their_place() {
        for (text, offset, expected) in [
            ("", 0, "a value"),
            ("{\"a\":", 5, "a value"),
            ("{\"a\" 1}", 5, "`:`"),
            ("{a:1}", 1, "a key in double quotes"),
            ("[1 2]", 3, "`,` or `]`"),
            ("{\"a\":1 \"b\"}", 7, "`,` or `}`"),
            ("{} {}", 3, "the end of the text"),
            ("nul", 0, "a value"),
            ("1.2.3", 0, "a value"),
            ("\"a\nb\"", 2, "the rest of a text in double quotes"),
            (r#""\q""#, 2, "an escape sequence of JSON or Go"),
            (r#""\ud83d""#, 2, "an escape sequence of JSON or Go"),
        ] {
            assert_eq!(parse(text), Err(JsonError { offset, expected }), "{text}");
        }
        let deep = "[".repeat(MAX_DEPTH + 1);
        assert_eq!(parse(&deep).unwrap_err().offset, MAX_DEPTH);
    }

    #[test]
    fn a_key_keeps_whether_its_dollar_was_escaped() {
        let Ok(Json::Object(fields)) = parse(r#"{"\u0024oid":1,"$oid":2,"a\u0024":3}"#) else {
            panic!("no object")
        };
        let escaped: Vec<_> = fields
            .iter()
            .map(|(key, _)| (key.text.as_str(), key.is_escaped))
            .collect();
        assert_eq!(escaped, [("$oid", true), ("$oid", false), ("a$", false)]);
    }
}
