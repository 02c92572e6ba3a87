import { serveSegments } from '../../worker/serve-segments';
import { startFakeSegments } from './fake-engine';

serveSegments(startFakeSegments);
