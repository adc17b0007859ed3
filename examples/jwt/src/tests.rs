//! Tests of tokens. Those of signatures with fresh keys, made by another implementation, are in
//! jwt_test.go.

use crate::base64;
use crate::policy::Policy;
use crate::sha2::hmac_sha256;

const NOW: f64 = 1_300_819_000.0;

/// The payload of RFC 7515's examples: {"iss":"joe","exp":1300819380,...}.
const PAYLOAD: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

const HS256: (&str, &str, &str) = (
    r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#,
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9",
    "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
);
const RS256: (&str, &str, &str) = (
    concat!(
        r#"{"kty":"RSA","e":"AQAB","n":""#, "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZ",
        "S-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZl",
        r#"xvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}"#
    ),
    "eyJhbGciOiJSUzI1NiJ9",
    concat!(
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--",
        "f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipU",
        "TI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
    ),
);
const ES256: (&str, &str, &str) = (
    r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
    "eyJhbGciOiJFUzI1NiJ9",
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
);
/// RFC 8037, appendix A.4; what it signs is no JSON.
const EDDSA: (&str, &str, &str) = (
    r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
    "eyJhbGciOiJFZERTQSJ9",
    "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
);

fn policy(config: &str) -> Policy {
    match Policy::read(config.as_bytes()) {
        Ok(p) => p,
        Err(e) => panic!("{}: {}", config, e),
    }
}

// RFC 7515, appendices A.1 to A.3.
#[test]
fn examples_of_rfc_7515() {
    for (key, header, signature) in [HS256, RS256, ES256] {
        let p = policy(&format!(r#"{{"keys":[{}],"issuer":"joe","fields":{{"X-Root":"http://example.com/is_root"}}}}"#, key));
        let token = format!("{}.{}.{}", header, PAYLOAD, signature);
        assert_eq!(p.check(&token, NOW), Ok(vec![("X-Root".into(), "true".into())]), "{}", header);
        assert_eq!(p.check(&token, NOW + 1000.0).unwrap_err().why, "the token has expired");

        // No bit of it can be another, in any of its parts.
        let bytes = token.as_bytes();
        for at in 0..bytes.len() {
            for bit in 0..7 {
                let mut other = bytes.to_vec();
                other[at] ^= 1 << bit;
                assert!(p.check(&String::from_utf8(other).unwrap(), NOW).is_err(), "{} with bit {} of byte {} changed", header, bit, at);
            }
            if at % 10 == 0 {
                assert!(p.check(&token[..at], NOW).is_err(), "{} cut off at {}", header, at);
            }
        }
    }
}

#[test]
fn example_of_rfc_8037() {
    let p = policy(&format!(r#"{{"keys":[{}],"issuer":"joe"}}"#, EDDSA.0));
    let message = format!("{}.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc", EDDSA.1);
    let signature = base64::decode(EDDSA.2).unwrap();
    assert!(p.keys[0].verify(message.as_bytes(), &signature));
    for at in 0..64 {
        let mut other = signature.clone();
        other[at] ^= 0x10;
        assert!(!p.keys[0].verify(message.as_bytes(), &other), "byte {} is another", at);
    }
    assert!(!p.keys[0].verify(b"another", &signature));
    assert!(!p.keys[0].verify(message.as_bytes(), &signature[..63]));
    assert!(!p.keys[0].verify(message.as_bytes(), &[0; 64]));
}

/// Makes base64url.
fn encode(b: &[u8]) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut out = String::new();
    for c in b.chunks(3) {
        let v = c.iter().fold(0u32, |v, b| v << 8 | u32::from(*b)) << (8 * (3 - c.len()));
        for i in 0..=c.len() {
            out.push(alphabet[(v >> (18 - 6 * i) & 63) as usize].into());
        }
    }
    out
}

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

/// Signs by HS256.
fn signed(header: &str, claims: &str) -> String {
    let message = format!("{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()));
    let code = hmac_sha256(SECRET, message.as_bytes());
    format!("{}.{}", message, encode(&code))
}

fn with(rest: &str) -> Policy {
    policy(&format!(r#"{{"keys":[{{"kty":"oct","k":"{}"}}],"issuer":["joe","ann"],"audience":"api"{}}}"#, encode(SECRET), rest))
}

const HEADER: &str = r#"{"alg":"HS256"}"#;

#[test]
fn claims() {
    let p = with(r#","leeway":10"#);
    let f = |claims: &str, want: &str| {
        let got = p.check(&signed(HEADER, &format!("{{{}}}", claims)), 1000.0);
        assert_eq!(got.map_or_else(|r| r.why, |_| ""), want, "{}", claims);
    };
    f(r#""iss":"joe","aud":"api","exp":2000"#, "");
    f(r#""iss":"ann","aud":["web","api"],"exp":2000.5,"nbf":1000,"iat":"x""#, "");
    f(r#""iss":"joe","aud":"api","exp":990.1"#, "");
    f(r#""iss":"joe","aud":"api","exp":990"#, "the token has expired");
    f(r#""iss":"joe","aud":"api","exp":-1"#, "the token has expired");
    f(r#""iss":"joe","aud":"api","exp":"2000""#, "the token is malformed");
    f(r#""iss":"joe","aud":"api","exp":null"#, "the token is malformed");
    f(r#""iss":"joe","aud":"api""#, "the token does not expire");
    f(r#""iss":"joe","aud":"api","exp":2000,"nbf":1010"#, "");
    f(r#""iss":"joe","aud":"api","exp":2000,"nbf":1011"#, "the token is not valid yet");
    f(r#""iss":"joe","aud":"api","exp":2000,"nbf":"0""#, "the token is malformed");
    f(r#""iss":"bob","aud":"api","exp":2000"#, "the token is of another issuer");
    f(r#""iss":["joe"],"aud":"api","exp":2000"#, "the token is of another issuer");
    f(r#""aud":"api","exp":2000"#, "the token is of another issuer");
    f(r#""iss":"joe","exp":2000"#, "the token is for somebody else");
    f(r#""iss":"joe","aud":[],"exp":2000"#, "the token is for somebody else");
    f(r#""iss":"joe","aud":"API","exp":2000"#, "the token is for somebody else");
    f(r#""iss":"joe","aud":["api",1],"exp":2000"#, "the token is malformed");
    f(r#""iss":"joe","aud":"api","exp":2000,"exp":3000"#, "the token is malformed");

    let nobody = policy(&format!(r#"{{"keys":[{{"kty":"oct","k":"{}"}}],"issuer":"joe"}}"#, encode(SECRET)));
    assert!(nobody.check(&signed(HEADER, r#"{"iss":"joe","exp":2000}"#), 1000.0).is_ok());
    assert!(nobody.check(&signed(HEADER, r#"{"iss":"joe","exp":2000,"aud":"api"}"#), 1000.0).is_err());
}

#[test]
fn headers() {
    let p = with(r#","typ":"at+jwt""#);
    let f = |header: &str, want: &str| {
        let got = p.check(&signed(header, r#"{"iss":"joe","aud":"api","exp":2000}"#), 1000.0);
        assert_eq!(got.map_or_else(|r| r.why, |_| ""), want, "{}", header);
    };
    f(r#"{"alg":"HS256","typ":"at+jwt"}"#, "");
    f(r#"{"alg":"HS256","typ":"application/AT+JWT","kid":"a"}"#, "");
    f(r#"{"alg":"HS256","typ":"JWT"}"#, "the token is of another type");
    f(r#"{"alg":"HS256","typ":"applicatiön/at+jwt"}"#, "the token is of another type");
    f(r#"{"alg":"HS256"}"#, "the token is of another type");
    for alg in ["none", "None", "", "hs256", "HS384", "RS256"] {
        f(&format!(r#"{{"alg":"{}","typ":"at+jwt"}}"#, alg), "the token's algorithm is not that of the key");
    }
    f(r#"{"alg":["HS256"],"typ":"at+jwt"}"#, "the token is malformed");
    f(r#"{"typ":"at+jwt"}"#, "the token is malformed");
    f(r#"{"alg":"HS256","typ":"at+jwt","kid":1}"#, "the token is malformed");
    f(r#"{"alg":"none","alg":"HS256","typ":"at+jwt"}"#, "the token is malformed");
    f(r#"{"alg":"HS256","typ":"at+jwt","crit":["exp"]}"#, "the token has extensions that are critical");
    f(r#"{"alg":"HS256","typ":"at+jwt","jwk":{"kty":"oct","k":"AAAA"}}"#, ""); // and it is not used
}

// A token that is signed with what everybody knows of a public key is refused (RFC 8725,
// section 2.1).
#[test]
fn confusion() {
    for key in [RS256.0, ES256.0, EDDSA.0] {
        let p = policy(&format!(r#"{{"keys":[{}],"issuer":"joe"}}"#, key));
        let got = p.check(&signed(HEADER, r#"{"iss":"joe","exp":2000}"#), 1000.0);
        assert_eq!(got.unwrap_err().why, "the token's algorithm is not that of the key");
    }
    let p = with("");
    let unsigned = format!("{}.{}.", encode(br#"{"alg":"none"}"#), encode(br#"{"iss":"joe","aud":"api","exp":2000}"#));
    assert_eq!(p.check(&unsigned, 1000.0).unwrap_err().why, "the token's algorithm is not that of the key");
}

#[test]
fn several_keys() {
    let id = |key: &str, id: &str| key.replacen('{', &format!(r#"{{"kid":"{}","#, id), 1);
    let secret = format!(r#"{{"kty":"oct","k":"{}"}}"#, encode(SECRET));
    let p = policy(&format!(r#"{{"keys":{{"keys":[{},{},{}]}},"issuer":"joe"}}"#, id(RS256.0, "a"), id(&secret, "b"), id(ES256.0, "c")));
    let f = |header: &str, want: &str| {
        let got = p.check(&signed(header, r#"{"iss":"joe","exp":2000}"#), 1000.0);
        assert_eq!(got.map_or_else(|r| r.why, |_| ""), want, "{}", header);
    };
    f(r#"{"alg":"HS256","kid":"b"}"#, "");
    f(r#"{"alg":"HS256","kid":"a"}"#, "the token's algorithm is not that of the key");
    f(r#"{"alg":"HS256","kid":"d"}"#, "the token's key is unknown");
    f(r#"{"alg":"HS256"}"#, "the token does not name its key");
}

#[test]
fn authorization() {
    let p = with(r#","scopes":["read","write"],"realm":"shop""#);
    let f = |lines: &[&str], status: u16, challenge: &str| {
        let lines: Vec<String> = lines.iter().map(|l| l.to_string()).collect();
        let got = match p.authorize(&lines, 1000.0) {
            Ok(_) => (200, String::new()),
            Err(r) => (r.status, p.challenge(&r)),
        };
        assert_eq!(got, (status, challenge.to_string()), "{:?}", lines);
    };
    let bearer = |scope: &str| format!("Bearer {}", signed(HEADER, &format!(r#"{{"iss":"joe","aud":"api","exp":2000{}}}"#, scope)));
    let good = bearer(r#","scope":"write a read""#);
    f(&[&good], 200, "");
    f(&[&bearer(r#","scope":["read","write"]"#)], 200, "");
    f(&[&good.replacen("Bearer ", "bEARER  ", 1)], 200, "");
    let scope = "Bearer realm=\"shop\", error=\"insufficient_scope\", error_description=\"the token is not for this\", scope=\"read write\"";
    f(&[&bearer(r#","scope":"read""#)], 403, scope);
    f(&[&bearer(r#","scope":"readwrite""#)], 403, scope);
    f(&[&bearer("")], 403, scope);
    f(&[], 401, "Bearer realm=\"shop\"");
    f(&[""], 401, "Bearer realm=\"shop\"");
    f(&["Basic YTpi"], 401, "Bearer realm=\"shop\"");
    f(&["Bearer"], 401, "Bearer realm=\"shop\"");
    let malformed = "Bearer realm=\"shop\", error=\"invalid_token\", error_description=\"the token is malformed\"";
    for token in ["", "a", "..", "a.b", "a.b.c.d", "e30.e30.", ".e30.e30", "e30=.e30.e30", "bnVsbA.e30.AA", "é.é.é"] {
        f(&[&format!("Bearer {} ", token).replace("Bearer  ", "Bearer x")], 401, malformed);
    }
    f(&[&good, &good], 400, "Bearer realm=\"shop\", error=\"invalid_request\", error_description=\"there is more than one Authorization\"");
    f(&[&format!("Bearer {}", "a".repeat(9000))], 401, "Bearer realm=\"shop\", error=\"invalid_token\", error_description=\"the token is too long\"");

    let p = with(r#","anonymous":true"#);
    assert_eq!(p.authorize(&[], 1000.0), Ok(None));
    for line in ["Basic YTpi", "Bearer x", "Bearer"] {
        assert!(p.authorize(&[line.to_string()], 1000.0).is_err(), "{}", line);
    }
}

#[test]
fn fields() {
    let p = with(r#","fields":{"X-User":"sub","X-Roles":"roles","X-Age":"age","X-Admin":"https://example.org/admin"}"#);
    let f = |claims: &str, want: &str| {
        let got = match p.check(&signed(HEADER, &format!(r#"{{"iss":"joe","aud":"api","exp":2000{}}}"#, claims)), 1000.0) {
            Ok(fields) => fields.iter().map(|(name, value)| format!("{}={}", name, value)).collect::<Vec<_>>().join(" "),
            Err(r) => r.why.into(),
        };
        assert_eq!(got, want, "{}", claims);
    };
    f("", "");
    f(r#","sub":"ann","roles":["a","b"],"age":7,"https://example.org/admin":false"#, "X-User=ann X-Roles=a b X-Age=7 X-Admin=false");
    f(r#","sub":"Zoë","age":9007199254740991"#, "X-User=Zoë X-Age=9007199254740991");
    f(r#","sub":null"#, "");
    for claims in [r#""sub":"a\r\nX-Admin: true""#, r#""sub":"a\u0000""#, r#""sub":"a\u007f""#, r#""sub":{}"#, r#""roles":[1]"#, r#""age":9007199254740993"#, r#""age":1.5"#] {
        f(&format!(",{}", claims), "a claim cannot be a field");
    }
}

#[test]
fn configurations() {
    let f = |config: &str, want: &str| {
        let got = Policy::read(config.as_bytes()).map_or_else(|e| e, |_| "none".into());
        assert!(got.starts_with(want), "{}: {:?}", config, got);
    };
    let key = HS256.0;
    f("", "config is not a map");
    f("[]", "config is not a map");
    f("{}", "keys is missing");
    f(&format!(r#"{{"keys":[{}]}}"#, key), "issuer is missing");
    f(r#"{"keys":1}"#, "keys: want a list");
    f(r#"{"keys":[]}"#, "keys: there is no key");
    f(r#"{"keys":[1]}"#, "keys[0]: want a key");
    f(r#"{"keys":[{}]}"#, "keys[0]: kty is missing");
    f(&format!(r#"{{"keys":[{},{}]}}"#, key, RS256.0), "keys: of several keys each needs a kid");
    f(&format!(r#"{{"keys":[{},{}]}}"#, key.replace('{', r#"{"kid":"a","#), RS256.0.replace('{', r#"{"kid":"a","#)), "keys[1]: there is another one");
    let one = |k: &str, want: &str| f(&format!(r#"{{"issuer":"joe","keys":[{}]}}"#, k), want);
    one(key, "none");
    one(&key.replace('{', r#"{"kid":1,"#), "keys[0]: kid is not a text");
    one(&key.replace('{', r#"{"use":"enc","#), "keys: there is no key");
    one(&key.replace('{', r#"{"alg":"HS512","#), "keys[0]: alg is \"HS512\", and a key of this type is used for HS256");
    one(r#"{"kty":"oct","k":"c2hvcnQ"}"#, "keys[0]: k has less than 32 bytes");
    one(r#"{"kty":"oct","k":"not base64"}"#, "keys[0]: k is missing, or not in base64url");
    one(r#"{"kty":"EC","crv":"P-521"}"#, "keys: there is no key");
    one(&RS256.0.replace('{', r#"{"d":"AQ","#), "keys[0]: this is a private key");
    one(&RS256.0.replace("AQAB", "AQ"), "keys[0]: e is not odd");
    one(&RS256.0.replace("AQAB", "AQAA"), "keys[0]: e is not odd");
    one(&RS256.0.replace("ofgW", "AfgW"), "keys[0]: n is not an odd number of 2048"); // 2041 bits
    one(r#"{"kty":"RSA","e":"AQAB","n":"AQAB"}"#, "keys[0]: n is not an odd number of 2048");
    one(&ES256.0.replace("x_FEz", "x_FEy"), "keys[0]: x and y are no point");
    one(&ES256.0.replace("x_FEz", "_____"), "keys[0]: x and y are no point");
    one(r#"{"kty":"EC","crv":"P-256","x":"AQ","y":"AQ"}"#, "keys[0]: x and y have 32 bytes each");
    one(r#"{"kty":"OKP","crv":"Ed25519","x":"AQ"}"#, "keys[0]: x has 32 bytes");
    let point = |b: [u8; 32]| format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"}}"#, encode(&b));
    let mut y = [0; 32];
    one(&point(y), "keys[0]: x is a point of small order"); // y = 0, of order 4
    y[0] = 1;
    one(&point(y), "keys[0]: x is a point of small order"); // the neutral one
    y[31] = 0x80;
    one(&point(y), "keys[0]: x is no point"); // the same with a sign, which 0 has not
    y = [0xff; 32];
    y[31] = 0x7f;
    one(&point(y), "keys[0]: x is no point"); // y = 2^255 - 1, more than p
    y = [0; 32];
    y[0] = 2;
    one(&point(y), "keys[0]: x is no point");
    let rest = |rest: &str, want: &str| f(&format!(r#"{{"issuer":"joe","keys":[{}],{}}}"#, key, rest), want);
    rest(r#""leeway":0"#, "none");
    rest(r#""leeway":601"#, "leeway: want seconds");
    rest(r#""leeway":"30s""#, "leeway: want seconds");
    rest(r#""scopes":["a\"b"]"#, "scopes: want a text of ASCII");
    rest(r#""scopes":[]"#, "scopes: want a text, or a list");
    rest(r#""realm":"""#, "realm: want a text of ASCII");
    rest(r#""typ":1"#, "typ: want a text");
    rest(r#""anonymous":"yes""#, "anonymous: want true or false");
    rest(r#""audiences":"a""#, "there is no \"audiences\"");
    rest(r#""fields":{"X-A":1}"#, "fields.X-A: want the name of a claim");
    for name in ["", "X A", "X:A", "Host", "authorization", "X-\u{e9}"] {
        rest(&format!(r#""fields":{{"{}":"sub"}}"#, name), "fields: ");
    }
    rest(r#""fields":{"X-A":"sub","x-a":"aud"}"#, "fields: \"x-a\" is not");
    rest(r#""issuer":"ann""#, "config is not a map, or has a name twice");
}

// Texts that are nearly tokens neither panic nor pass: pieces of a good one are put together by
// a generator, and signed, so that what is behind the signature sees them.
#[test]
fn malformed_tokens() {
    let p = with("");
    let good = r#"{"iss":"joe","aud":"api","exp":2000,"nbf":0,"sub":"ann","x":[1,{"y":null}]}"#;
    let mut seed = 1u64;
    let mut random = |n: usize| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) as usize % n
    };
    for _ in 0..20_000 {
        let mut claims = good.as_bytes().to_vec();
        for _ in 0..1 + random(4) {
            let at = random(claims.len());
            match random(4) {
                0 => claims[at] = b"{}[]\",:\\u0e-. \x00\xff"[random(16)],
                1 if claims.len() > 1 => drop(claims.remove(at)),
                2 => claims.insert(at, claims[random(claims.len())]),
                _ => claims.truncate(at.max(1)),
            }
        }
        let header = encode(HEADER.as_bytes());
        let message = format!("{}.{}", header, encode(&claims));
        let token = format!("{}.{}", message, encode(&hmac_sha256(SECRET, message.as_bytes())));
        if p.check(&token, 1000.0).is_ok() {
            let v = crate::json::parse(&claims).unwrap();
            assert_eq!(v.get("iss").and_then(|v| v.text()), Some("joe"));
            assert!(v.get("exp").and_then(|v| v.number()).unwrap() > 900.0);
        }
        assert!(p.check(&String::from_utf8_lossy(&claims), 1000.0).is_err());
    }
}
