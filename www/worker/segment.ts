import { startSegments } from './load-package';
import { serveSegments } from './serve-segments';

serveSegments(startSegments);
