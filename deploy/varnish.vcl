# Varnish 7.1 between the proxy with TLS and the web, with vmod xkey (Debian: varnish-modules):
#   varnishd -a 127.0.0.1:6081 -f /etc/varnish/petition.vcl -s malloc,256m -p http_gzip_support=off
# http_gzip_support=off: our pages are compressed already, better than gzip does it.
# In the environment of the web: CACHE_PURGE_URLS=http://127.0.0.1:6081 and CACHE_PURGE_TOKEN=change-this
vcl 4.1;

import directors;
import std;
import xkey;

# /healthz, not /readyz: without a database the web still serves pages, and says calmly that signing has to wait.
probe alive {
    .url = "/healthz";
    .interval = 1s;
    .timeout = 1s;
    .window = 3;
    .threshold = 2;
    .initial = 2;
}

# One for each web machine.
backend web1 {
    .host = "127.0.0.1";
    .port = "8000";
    .probe = alive;
    .connect_timeout = 2s;
    .first_byte_timeout = 60s;
}

sub vcl_init {
    new webs = directors.round_robin();
    webs.add_backend(web1);
}

sub vcl_recv {
    set req.backend_hint = webs.backend();
    unset req.http.X-Hashed;

    if (req.method == "PURGE") {
        # What came through the proxy has a second address in this header, and no business here.
        if (req.http.Authorization != "Bearer change-this" || req.http.X-Forwarded-For ~ ",") {
            return (synth(405, "Not allowed"));
        }
        if (!req.http.Surrogate-Key) {
            return (synth(400, "No key"));
        }
        if (req.http.Fastly-Soft-Purge) {
            set req.http.X-Purged = xkey.softpurge(req.http.Surrogate-Key);
        } else {
            set req.http.X-Purged = xkey.purge(req.http.Surrogate-Key);
        }
        return (synth(200, "Purged " + req.http.X-Purged));
    }

    # The live count is a stream; the desk, links in mails and forms belong to one person.
    if (req.url ~ "^/api/v1/letters/[^/?]+/events") {
        return (pipe);
    }
    if (req.method != "GET" && req.method != "HEAD") {
        return (pass);
    }
    if (req.url ~ "^/(organizer|captcha|healthz|readyz|metrics)(/|\?|$)" || req.http.Authorization) {
        return (pass);
    }
    # Where crowds are led after signing.
    if (req.url ~ "^/[^/]+/[^/]+/(check-your-inbox|signed|deleted)(\?|$)") {
        return (pass);
    }
    # No public page looks at a cookie; the desk's must not keep organizers from the cache.
    unset req.http.Cookie;

    if (req.http.Accept-Encoding ~ "(^|[ ,])br") {
        set req.http.Accept-Encoding = "br";
    } else if (req.http.Accept-Encoding ~ "gzip") {
        set req.http.Accept-Encoding = "gzip";
    } else {
        unset req.http.Accept-Encoding;
    }

    # An old copy is for when no new one can be had, never for speed: what is shown is at most two seconds old.
    if (req.restarts == 0 && std.healthy(req.backend_hint)) {
        set req.grace = 0s;
    } else {
        set req.grace = 10m;
    }
    set req.http.X-Hashed = "1";
    return (hash);
}

sub vcl_pipe {
    set bereq.http.Connection = "close";
}

sub vcl_backend_response {
    # Only what the web calls public is stored; that is never what belongs to one person. That an address is not stored is
    # known for a while, or those who ask for it at once would wait for each other.
    if (beresp.http.Cache-Control !~ "public" || beresp.http.Set-Cookie) {
        set beresp.uncacheable = true;
        set beresp.ttl = 10s;
        set beresp.grace = 0s;
        return (deliver);
    }
    # What may hold names is never shown once it has expired. Counts, badges and pictures hold none: they are shown for ten
    # minutes while the web does not answer.
    set beresp.grace = 0s;
    if (bereq.url ~ "^/(badge/|embed\.js|static/|api/v1/letters/[^/]+/count(\?|$))") {
        set beresp.grace = 10m;
    }
    set beresp.keep = 60s;
    # xkey reads this header.
    set beresp.http.xkey = beresp.http.Surrogate-Key;
    return (deliver);
}

sub vcl_backend_error {
    set beresp.http.Content-Type = "text/plain; charset=utf-8";
    set beresp.http.Cache-Control = "no-store";
    set beresp.http.Retry-After = "5";
    set beresp.body = "This site is being restarted. Please try again in a moment." + {"
"};
    return (deliver);
}

sub vcl_deliver {
    # A web machine that died a moment ago, before its probe says so: an old copy, if there may be one.
    if (resp.status >= 502 && resp.status <= 504 && req.restarts == 0 && req.http.X-Hashed) {
        return (restart);
    }
    unset resp.http.Surrogate-Key;
    unset resp.http.xkey;
    unset resp.http.X-Varnish;
    unset resp.http.Via;
}
