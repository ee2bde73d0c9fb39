"""What HTTP says of files: ranges, conditions, types (RFC 9110)."""
import concurrent.futures
import email.utils
import time

import pytest

DATA = bytes(range(256)) * 4


@pytest.fixture(scope="module")
def path(api, shared):
    api.put(shared, "/workspace/http.bin", DATA)
    return api.file(shared, "/workspace/http.bin")


def get(api, path, status, **headers):
    return api.request("GET", path, status, headers={k.replace("_", "-"): v for k, v in headers.items()})


# ---- ranges ----

@pytest.mark.parametrize("text, first, last", [
    ("bytes=0-0", 0, 0), ("bytes=0-99", 0, 99), ("bytes=100-", 100, 1023), ("bytes=1023-", 1023, 1023),
    ("bytes=5-5", 5, 5), ("bytes=1000-99999", 1000, 1023), ("bytes=-1", 1023, 1023), ("bytes=-24", 1000, 1023),
    ("bytes=-99999", 0, 1023), ("BYTES=7-8", 7, 8), ("bytes= 7-8 ", 7, 8), ("bytes=0-1023", 0, 1023)])
def test_range(api, path, text, first, last):
    answer = get(api, path, 206, Range=text)
    assert answer.content == DATA[first:last + 1]
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/1024"
    assert answer.headers["Content-Length"] == str(last - first + 1)
    assert answer.headers["Accept-Ranges"] == "bytes" and answer.headers["ETag"]


@pytest.mark.parametrize("text", ["bytes=1024-", "bytes=99999-100000", "bytes=-0", "bytes=1024-1024"])
def test_range_that_is_not_there(api, path, text):
    answer = get(api, path, 416, Range=text)
    assert answer.headers["Content-Range"] == "bytes */1024"
    assert answer.json()["error"]["code"] == "invalid_request"


@pytest.mark.parametrize("text", ["bytes=0-1,5-6", "bytes=a-b", "bytes=-", "bytes=5-4", "lines=0-5", "bytes", "",
                                  "bytes=0-1;", "bytes=+1-2", "bytes=0x1-2", "bytes=99999999999999999999-", "bytes=1 - 2"])
def test_range_that_is_ignored(api, path, text):
    assert get(api, path, 200, Range=text).content == DATA


def test_range_of_an_empty_file(api, shared):
    api.put(shared, "/workspace/empty", b"")
    for text in ("bytes=0-", "bytes=-1"):
        assert get(api, api.file(shared, "/workspace/empty"), 416, Range=text).headers["Content-Range"] == "bytes */0"


def test_range_does_not_apply_to_head(api, path):
    answer = api.request("HEAD", path, 200, headers={"Range": "bytes=0-1"})
    assert answer.headers["Content-Length"] == "1024"


def test_if_range(api, path):
    whole = api.get(path)
    etag, date = whole.headers["ETag"], whole.headers["Last-Modified"]
    for value, status in ((etag, 206), (date, 206), ('"other"', 200), ("W/" + etag, 200),
                          ("Mon, 01 Jan 2001 00:00:00 GMT", 200), ("nonsense", 200)):
        answer = get(api, path, status, Range="bytes=0-9", If_Range=value)
        assert answer.content == (DATA[:10] if status == 206 else DATA), value
    # A range that is not there matters only if it applies.
    assert get(api, path, 200, Range="bytes=5000-", If_Range='"other"').content == DATA


def test_resumed_download(api, shared):
    """Pieces with If-Range are the file; when it changes the client gets all of the new one."""
    api.put(shared, "/workspace/resume", DATA * 100)
    file, got = api.file(shared, "/workspace/resume"), b""
    etag = api.request("HEAD", file, 200).headers["ETag"]
    while len(got) < len(DATA) * 100:
        got += get(api, file, 206, Range=f"bytes={len(got)}-{len(got) + 30000}", If_Range=etag).content
    assert got == DATA * 100
    api.put(shared, "/workspace/resume", b"new")
    assert get(api, file, 200, Range="bytes=50000-", If_Range=etag).content == b"new"


# ---- conditions of reading ----

@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_conditions(api, path, method):
    etag = api.request("HEAD", path, 200).headers["ETag"]
    modified = email.utils.parsedate_to_datetime(api.request("HEAD", path, 200).headers["Last-Modified"]).timestamp()

    def at(seconds):
        return email.utils.formatdate(modified + seconds, usegmt=True)

    rfc850 = time.strftime("%A, %d-%b-%y %H:%M:%S GMT", time.gmtime(modified))
    asctime = time.strftime("%a %b %e %H:%M:%S %Y", time.gmtime(modified))
    for headers, status in (
            ({"If-None-Match": etag}, 304), ({"If-None-Match": "W/" + etag}, 304), ({"If-None-Match": "*"}, 304),
            ({"If-None-Match": f'"a", {etag} ,"b"'}, 304), ({"If-None-Match": '"a"'}, 200), ({"If-None-Match": '"*"'}, 200),
            ({"If-None-Match": "nonsense"}, 200), ({"If-None-Match": etag[:-1]}, 200), ({"If-None-Match": ""}, 200),
            ({"If-Match": etag}, 200), ({"If-Match": "*"}, 200), ({"If-Match": f'"x",{etag}'}, 200),
            ({"If-Match": '"x"'}, 412), ({"If-Match": "W/" + etag}, 412), ({"If-Match": "nonsense"}, 412),
            ({"If-Modified-Since": at(0)}, 304), ({"If-Modified-Since": at(9)}, 304), ({"If-Modified-Since": at(-1)}, 200),
            ({"If-Modified-Since": rfc850}, 304), ({"If-Modified-Since": asctime}, 304),
            ({"If-Modified-Since": "nonsense"}, 200),
            ({"If-Unmodified-Since": at(0)}, 200), ({"If-Unmodified-Since": at(-1)}, 412),
            ({"If-Unmodified-Since": "nonsense"}, 200),
            # Tags count before times; If-Match before If-None-Match.
            ({"If-None-Match": '"a"', "If-Modified-Since": at(0)}, 200),
            ({"If-Match": etag, "If-Unmodified-Since": at(-1)}, 200),
            ({"If-Match": '"x"', "If-None-Match": etag}, 412)):
        answer = api.request(method, path, status, headers=headers)
        if status == 412 and method == "GET":
            error = answer.json()["error"]
            assert error["code"] == "conflict" and error["details"][0]["path"] in headers, error
        else:
            assert answer.content == (DATA if status == 200 and method == "GET" else b""), headers
        if status != 412:
            assert answer.headers["ETag"] == etag, headers


def test_etag_changes_with_every_change(api, sandbox):
    """Of the same size, at the same time of modification, in place."""
    api.sh(sandbox, "printf aaaa > f; touch -d @1000000000 f")
    seen = set()
    for text in ("bbbb", "cccc", "dddd"):
        seen.add(api.request("HEAD", api.file(sandbox, "/workspace/f"), 200).headers["ETag"])
        api.sh(sandbox, f"sleep 0.02; printf {text} > f; touch -d @1000000000 f")
    assert len(seen) == 3
    assert all(e.startswith('"') and e.endswith('"') for e in seen)


# ---- conditions of writing ----

def put(api, sandbox, name, data, status, **headers):
    return api.request("PUT", api.file(sandbox, "/workspace/" + name), status, data=data,
                       headers={k.replace("_", "-"): v for k, v in headers.items()})


def test_put_if_match(api, sandbox):
    etag = put(api, sandbox, "f", b"1", 201).json()["etag"]
    second = put(api, sandbox, "f", b"2", 200, If_Match=etag).json()["etag"]
    refused = put(api, sandbox, "f", b"3", 412, If_Match=etag).json()["error"]
    assert refused["code"] == "conflict" and refused["details"][0]["path"] == "If-Match" and second in refused["message"]
    for value in ("W/" + second, '"x"', "nonsense", '"*"', '"' + "x" * 500 + '"'):
        put(api, sandbox, "f", b"3", 412, If_Match=value)
    assert api.read(sandbox, "/workspace/f") == b"2"
    put(api, sandbox, "f", b"4", 200, If_Match=f'"a", {second}')
    put(api, sandbox, "f", b"5", 200, If_Match="*")
    put(api, sandbox, "new", b"1", 412, If_Match="*")
    api.request("GET", api.file(sandbox, "/workspace/new"), 404)
    assert api.sh(sandbox, "ls -A") == "f\n"


def test_put_if_none_match(api, sandbox):
    etag = put(api, sandbox, "f", b"1", 201, If_None_Match="*").json()["etag"]
    for value in ("*", etag, "W/" + etag):
        error = put(api, sandbox, "f", b"2", 412, If_None_Match=value).json()["error"]
        assert error["details"][0]["path"] == "If-None-Match"
    assert api.read(sandbox, "/workspace/f") == b"1"
    put(api, sandbox, "f", b"3", 200, If_None_Match='"other"')
    put(api, sandbox, "f", b"3", 412, If_Unmodified_Since="Mon, 01 Jan 2001 00:00:00 GMT")
    put(api, sandbox, "f", b"3", 200, If_Unmodified_Since="Fri, 01 Jan 2100 00:00:00 GMT")


def test_only_one_of_many_creates(api, sandbox):
    def create(i):
        return put(api.with_key(api.key), sandbox, "lock", b"%d" % i, (201, 412), If_None_Match="*").status_code
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(create, range(48)))
    assert sorted(statuses) == [201] + [412] * 47
    assert api.sh(sandbox, "ls -A") == "lock\n"


def test_many_who_count_lose_nothing(api, sandbox):
    """Read, add one, write if unchanged, again if not: every increment is there in the end."""
    put(api, sandbox, "n", b"0", 201)
    file = api.file(sandbox, "/workspace/n")

    def add(_):
        one = api.with_key(api.key)
        for _ in range(500):
            now = one.get(file)
            if put(one, sandbox, "n", b"%d" % (int(now.content) + 1), (200, 412),
                   If_Match=now.headers["ETag"]).status_code == 200:
                return True
        return False
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        assert all(pool.map(add, range(30)))
    assert api.read(sandbox, "/workspace/n") == b"30"


def test_the_file_that_changes_during_an_upload(api, sandbox):
    """The condition held in the beginning, and does not at the end."""
    etag = put(api, sandbox, "f", b"old", 201).json()["etag"]

    def slow():
        yield b"a" * 70000
        put(api.with_key(api.key), sandbox, "f", b"other", 200)
        yield b"b" * 70000
    put(api, sandbox, "f", slow(), 412, If_Match=etag)
    assert api.read(sandbox, "/workspace/f") == b"other"

    def slow_new():
        yield b"a"
        put(api.with_key(api.key), sandbox, "g", b"first", 201)
        yield b"b"
    put(api, sandbox, "g", slow_new(), 412, If_None_Match="*")
    assert api.read(sandbox, "/workspace/g") == b"first"


def test_delete_if_match(api, sandbox):
    etag = put(api, sandbox, "f", b"1", 201).json()["etag"]
    api.request("DELETE", api.file(sandbox, "/workspace/f"), 412, headers={"If-Match": '"x"'})
    assert api.read(sandbox, "/workspace/f") == b"1"
    api.request("DELETE", api.file(sandbox, "/workspace/f"), 204, headers={"If-Match": etag})


# ---- types and names ----

@pytest.mark.parametrize("name, media", [
    ("a.png", "image/png"), ("a.HTML", "text/html"), ("a.json", "application/json"), ("a.tar.gz", "application/gzip"),
    ("a", "application/octet-stream"), (".png", "image/png"), ("a.unknown", "application/octet-stream")])
def test_type(api, shared, name, media):
    api.put(shared, "/workspace/types/" + name, b"x")
    for method in ("GET", "HEAD"):
        answer = api.request(method, api.file(shared, "/workspace/types/" + name), 200)
        assert answer.headers["Content-Type"] == media
        # A page from a sandbox must not run as one of this server's.
        assert answer.headers["Content-Security-Policy"] == "sandbox"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("query, ascii_name, full", [
    ("", "a_b.txt", "a%C3%BCb.txt"), ("report.pdf", "report.pdf", "report.pdf"),
    ("x%22%0d%0aSet-Cookie:%20a=b", "x___Set-Cookie: a=b", "x%22%0D%0ASet-Cookie%3A%20a%3Db"),
    ("..%2f..%2fetc", ".._.._etc", "..%2F..%2Fetc")])
def test_download(api, shared, query, ascii_name, full):
    api.put(shared, "/workspace/aüb.txt", b"x")
    answer = api.get(api.file(shared, "/workspace/aüb.txt") + "?download=" + query)
    ascii_name = ascii_name.replace("a_b", "a__b")
    assert answer.headers["Content-Disposition"] == f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''{full}"
    assert "Set-Cookie" not in answer.headers


def test_a_folder_says_how_to_list_it(api, shared):
    api.sh(shared, "mkdir -p folder")
    error = api.error("GET", api.file(shared, "/workspace/folder"), 400, "invalid_request", "path")
    assert "files?path=" in error["message"]


def test_a_file_that_grows_while_it_is_read(api, sandbox):
    """From nothing, too: what is announced is what comes."""
    code = ("import time\nf = open('/workspace/log', 'ab', buffering=0)\n"
            "while True: f.write(b'x' * 100); time.sleep(0.0005)")
    with api.open_stream(sandbox, language="python", code="open('/workspace/log','w')\nprint(1,flush=True)\n" + code) as answer:
        lines = answer.iter_lines()
        next(lines)
        next(lines)
        other = api.with_key(api.key)
        for _ in range(50):
            got = other.get(api.file(sandbox, "/workspace/log"))
            assert len(got.content) == int(got.headers["Content-Length"])
