import { serveSegments } from '../../worker/serve-segments';
import { loadFakePackage } from './fake-engine';

serveSegments(loadFakePackage);
