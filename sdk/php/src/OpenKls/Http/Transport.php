<?php

declare(strict_types=1);

namespace OpenKls\Http;

/**
 * Carries one request and brings its answer, whatever that says. It neither repeats nor follows redirects.
 */
interface Transport
{
    /**
     * @throws Unanswered
     */
    public function send(Request $request): Response;
}
