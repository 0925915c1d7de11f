package com.ksc.kls;

import com.ksc.kls.model.KLSRequest;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.function.Function;
import java.util.function.ToIntFunction;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/**
 * The rows of all pages of a list, one after the other; a page is asked for when its first row is. Each iteration begins
 * anew from page 0. An iteration throws what a call does.
 *
 * @param <R> a row
 */
public final class Pages<R> implements Iterable<R> {
    private static final String LIMIT = "Limit";
    private final Map<String, Object> parameters;
    private final int limit;
    private final Source<?, R> source;

    <D> Pages(KLSRequest request, int usual, int most, Source<D, R> source) {
        this.parameters = new LinkedHashMap<>(request.toParameters());
        Object given = parameters.get(LIMIT);
        int asked = given instanceof Number ? ((Number) given).intValue() : 0;
        this.limit = asked < 1 ? usual : Math.min(asked, most);
        this.source = source;
    }

    /** How a page is asked for, and what of it are its rows and the number of all rows. */
    static final class Source<D, R> {
        private final Function<Map<String, Object>, D> call;
        private final Function<D, List<R>> rows;
        private final ToIntFunction<D> total;

        Source(Function<Map<String, Object>, D> call, Function<D, List<R>> rows, ToIntFunction<D> total) {
            this.call = call;
            this.rows = rows;
            this.total = total;
        }

        Page<R> page(Map<String, Object> parameters, long rowsBefore) {
            D data = call.apply(parameters);
            List<R> here = rows.apply(data);
            return new Page<>(here.iterator(), here.isEmpty() || rowsBefore >= total.applyAsInt(data));
        }
    }

    private static final class Page<R> {
        final Iterator<R> rows;
        final boolean last;

        Page(Iterator<R> rows, boolean last) {
            this.rows = rows;
            this.last = last;
        }
    }

    @Override
    public Iterator<R> iterator() {
        return new Rows();
    }

    /**
     * The rows as a stream.
     *
     * @return a sequential, ordered stream
     */
    public Stream<R> stream() {
        return StreamSupport.stream(spliterator(), false);
    }

    private final class Rows implements Iterator<R> {
        private Page<R> page;
        private int marker;

        @Override
        public boolean hasNext() {
            while (page == null || !page.rows.hasNext()) {
                if (page != null && page.last) {
                    return false;
                }
                Map<String, Object> asked = new LinkedHashMap<>(parameters);
                asked.put("Marker", marker);
                asked.put(LIMIT, limit);
                page = source.page(asked, (marker + 1L) * limit);
                marker++;
            }
            return true;
        }

        @Override
        public R next() {
            if (!hasNext()) {
                throw new NoSuchElementException("there are no more rows");
            }
            return page.rows.next();
        }
    }
}
