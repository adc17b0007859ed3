//! JSON (RFC 8259), as strict as what guards a door should be: a name that an object has twice
//! is an error, since who signed and who reads might each take another one (RFC 7515, section 4).

/// How deep arrays and objects may be nested.
const MAX_DEPTH: usize = 16;

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Number(f64),
    String(String),
    Array(Vec<Value>),
    Object(Vec<(String, Value)>),
}

impl Value {
    /// The member of an object.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.members()?.iter().find(|(n, _)| n == name).map(|(_, v)| v)
    }

    pub fn members(&self) -> Option<&[(String, Value)]> {
        match self {
            Value::Object(members) => Some(members),
            _ => None,
        }
    }

    pub fn text(&self) -> Option<&str> {
        match self {
            Value::String(s) => Some(s),
            _ => None,
        }
    }

    pub fn number(&self) -> Option<f64> {
        match self {
            Value::Number(n) => Some(*n),
            _ => None,
        }
    }

    pub fn bool(&self) -> Option<bool> {
        match self {
            Value::Bool(b) => Some(*b),
            _ => None,
        }
    }

    /// The texts that an array has, or the one that this is.
    pub fn texts(&self) -> Option<Vec<&str>> {
        match self {
            Value::String(s) => Some(vec![s]),
            Value::Array(all) => all.iter().map(Value::text).collect(),
            _ => None,
        }
    }
}

/// Reads one value, with nothing but white space around it.
pub fn parse(text: &[u8]) -> Option<Value> {
    let mut p = Parser { text: std::str::from_utf8(text).ok()?, at: 0 };
    let v = p.value(0)?;
    p.space();
    if p.at == p.text.len() {
        Some(v)
    } else {
        None
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Takes what is expected next.
    fn take(&mut self, want: &str) -> Option<()> {
        if !self.text[self.at..].starts_with(want) {
            return None;
        }
        self.at += want.len();
        Some(())
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.space();
        match self.peek()? {
            b'n' => self.take("null").map(|()| Value::Null),
            b't' => self.take("true").map(|()| Value::Bool(true)),
            b'f' => self.take("false").map(|()| Value::Bool(false)),
            b'"' => self.string().map(Value::String),
            b'[' => self.array(depth),
            b'{' => self.object(depth),
            _ => self.number(),
        }
    }

    fn array(&mut self, depth: usize) -> Option<Value> {
        let mut all = Vec::new();
        self.take("[")?;
        self.space();
        if self.peek()? == b']' {
            self.at += 1;
            return Some(Value::Array(all));
        }
        loop {
            all.push(self.value(depth + 1)?);
            self.space();
            match self.next()? {
                b',' => (),
                b']' => return Some(Value::Array(all)),
                _ => return None,
            }
        }
    }

    fn object(&mut self, depth: usize) -> Option<Value> {
        let mut members: Vec<(String, Value)> = Vec::new();
        self.take("{")?;
        self.space();
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(Value::Object(members));
        }
        loop {
            self.space();
            let name = self.string()?;
            if members.iter().any(|(n, _)| *n == name) {
                return None;
            }
            self.space();
            self.take(":")?;
            let v = self.value(depth + 1)?;
            members.push((name, v));
            self.space();
            match self.next()? {
                b',' => (),
                b'}' => return Some(Value::Object(members)),
                _ => return None,
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        self.take("\"")?;
        let mut out = String::new();
        loop {
            let plain = self.at;
            while !matches!(self.peek()?, b'"' | b'\\' | 0..=0x1f) {
                self.at += 1;
            }
            out.push_str(&self.text[plain..self.at]);
            match self.next()? {
                b'"' => return Some(out),
                b'\\' => out.push(self.escape()?),
                _ => return None, // a control character
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        Some(match self.next()? {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => match self.hex()? {
                high @ 0xd800..=0xdbff => {
                    self.take("\\u")?;
                    match self.hex()? {
                        low @ 0xdc00..=0xdfff => char::from_u32(0x10000 + ((high - 0xd800) << 10 | (low - 0xdc00)))?,
                        _ => return None,
                    }
                }
                c => char::from_u32(c)?, // no low half alone
            },
            _ => return None,
        })
    }

    fn hex(&mut self) -> Option<u32> {
        let mut v = 0;
        for _ in 0..4 {
            v = v << 4 | char::from(self.next()?).to_digit(16)?;
        }
        Some(v)
    }

    fn digits(&mut self) -> Option<()> {
        let first = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at > first {
            Some(())
        } else {
            None
        }
    }

    fn number(&mut self) -> Option<Value> {
        let first = self.at;
        if self.peek()? == b'-' {
            self.at += 1;
        }
        match self.peek()? {
            b'0' => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        let n: f64 = self.text[first..self.at].parse().ok()?;
        if n.is_finite() {
            Some(Value::Number(n))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let f = |text: &str, want: Value| assert_eq!(parse(text.as_bytes()), Some(want), "{}", text);
        f(" null ", Value::Null);
        f("true", Value::Bool(true));
        f("-1.5e+2", Value::Number(-150.0));
        f("0", Value::Number(0.0));
        f("1516239022", Value::Number(1516239022.0));
        f(r#""a\"\\\/\b\f\n\r\té\ud83d\ude00é""#, Value::String("a\"\\/\u{8}\u{c}\n\r\té😀é".into()));
        f("[ ]", Value::Array(vec![]));
        f("[1, [2]]", Value::Array(vec![Value::Number(1.0), Value::Array(vec![Value::Number(2.0)])]));
        f("{ }", Value::Object(vec![]));
        f(r#"{"a":1 , "b" : "c"}"#, Value::Object(vec![("a".into(), Value::Number(1.0)), ("b".into(), Value::String("c".into()))]));
        let deep = "[".repeat(MAX_DEPTH) + "1" + &"]".repeat(MAX_DEPTH);
        assert!(parse(deep.as_bytes()).is_some());
    }

    #[test]
    fn refused() {
        for text in [
            "", " ", "nul", "True", "01", "-", "1.", ".5", "1e", "1e999", "+1", "NaN", "\"", "\"a", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"\\udc00\"",
            "\"\\ud800\\u0041\"", "\"\n\"", "[", "[1", "[1,", "[1,]", "[,]", "{", "{a:1}", "{\"a\"}", "{\"a\":1,}", "{\"a\":1 \"b\":2}", "1 2", "{}x",
            r#"{"a":1,"a":2}"#, r#"{"a":1,"\u0061":2}"#, r#"{"x":{"a":1,"a":2}}"#,
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{}", text);
        }
        assert_eq!(parse(b"\"\xff\""), None);
        assert_eq!(parse("[".repeat(100_000).as_bytes()), None);
        let deep = "[".repeat(MAX_DEPTH + 1) + "1" + &"]".repeat(MAX_DEPTH + 1);
        assert_eq!(parse(deep.as_bytes()), None);
    }
}
